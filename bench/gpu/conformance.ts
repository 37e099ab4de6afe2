/** The Backend conformance suite on XLA, as a program of its own. `conformance.js SHARE` runs one of SHARE cases. */
import { backendConformance } from '../../test/conformance/backend/suite.js'
import { openBackend } from '../../src/engine/api/open-backend.js'
import { runTests } from './runner.js'

backendConformance({
  create: () => openBackend('xla', { cache: false }),
  flushesSubnormals: true,
  share: Number(process.argv[2] ?? 1),
})
await runTests()
