import { describe } from 'vitest'
import { XlaBackend } from '../../../src/engine/compile/xla/backend.js'
import { xlaPlugin } from '../../xla-plugin.js'
import { backendConformance } from './suite.js'

/** XLA compiles a case in 5 to 20 ms. XLA_SHARE=1 runs all cases. */
const share = Number(process.env.XLA_SHARE ?? 8)

describe.skipIf(!xlaPlugin)('xla', () =>
  backendConformance({
    create: () => XlaBackend.create({ plugin: xlaPlugin! }),
    flushesSubnormals: true,
    share,
  }),
)
