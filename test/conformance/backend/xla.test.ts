import { describe } from 'vitest'
import { openXla } from '../../../src/engine/compile/xla/node.js'
import { xlaPlugin } from '../../xla-plugin.js'
import { backendConformance } from './suite.js'

/** XLA compiles a case in 5 to 20 ms. XLA_SHARE=1 runs all cases. */
const share = Number(process.env.XLA_SHARE ?? 8)

describe.skipIf(!xlaPlugin)('xla', () =>
  backendConformance({
    create: () => openXla({ plugin: xlaPlugin, cache: false }),
    flushesSubnormals: true,
    share,
  }),
)
