import { describe } from 'vitest'
import { openXla } from '../../../src/engine/compile/xla/node.js'
import { xlaPlugin } from '../../xla-plugin.js'
import { backendConformance } from './suite.js'

/** XLA compiles a case in 5 to 20 ms of CPU time. XLA_CASES=all runs all cases; otherwise a sample is run. */
const sample =
  process.env.XLA_CASES === 'all'
    ? {}
    : ({ dtypes: ['float32', 'bfloat16', 'int32', 'uint32', 'bool'], share: 12 } as const)

describe.skipIf(!xlaPlugin)('xla', () =>
  backendConformance({
    create: () => openXla({ plugin: xlaPlugin, cache: false }),
    flushesSubnormals: true,
    ...sample,
  }),
)
