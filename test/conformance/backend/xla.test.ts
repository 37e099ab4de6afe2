import { describe } from 'vitest'
import { XlaBackend } from '../../../src/engine/compile/xla/backend.js'
import { xlaPlugin } from '../../xla-plugin.js'
import { backendConformance } from './suite.js'

describe.skipIf(!xlaPlugin)('xla', () =>
  backendConformance({ create: () => XlaBackend.create({ plugin: xlaPlugin! }) }),
)
