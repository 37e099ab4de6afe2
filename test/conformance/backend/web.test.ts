import { describe } from 'vitest'
import { OnnxBackend } from '../../../src/engine/compile/onnx/backend.js'
import { webSessions } from '../../../src/engine/compile/onnx/web.js'
import { backendConformance } from './suite.js'

/** A session of WebAssembly takes 15 ms of CPU time. WEB_CASES=all runs all cases, as in CI; otherwise a sample is. */
const share = process.env.WEB_CASES === 'all' ? undefined : 5

// ONNX Runtime's build for browsers also runs in Node, without a browser's threads.
describe('onnx, on the build for browsers', () => {
  const backend = new OnnxBackend(webSessions({ threads: 1 }))
  backendConformance({ create: () => backend, updatesInPlace: true, share })
})
