/** The Backend conformance suite on XLA, as a program of its own. */
import { backendConformance } from '../../test/conformance/backend/suite.js'
import { openBackend } from '../backend.js'
import { runTests } from './runner.js'

backendConformance({ create: () => openBackend('xla') })
await runTests()
