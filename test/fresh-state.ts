/** Runs before each test file that shares its process with others: no file sees what another one has set. */
import { afterAll, expect } from 'vitest'
import { OnnxBackend } from '../src/engine/compile/onnx/backend.js'
import { setBackend } from '../src/engine/api/engine.js'
import { nodeSessions } from '../src/engine/compile/onnx/node.js'
import { onLongWork } from '../src/data/long-work.js'

setBackend(new OnnxBackend(nodeSessions()))
onLongWork(undefined)

const SIGNALS = ['SIGINT', 'SIGTERM', 'uncaughtException', 'unhandledRejection'] as const

const processState = (): object => ({
  folder: process.cwd(),
  // ORT_DISABLE_TELEMETRY is set where ONNX Runtime is loaded, TF_CPP_MIN_LOG_LEVEL where XLA is.
  environment: { ...process.env, ORT_DISABLE_TELEMETRY: '1', TF_CPP_MIN_LOG_LEVEL: '3' },
  exitCode: process.exitCode,
  listeners: SIGNALS.map(signal => process.listenerCount(signal)),
})

// A file that leaves its process changed needs one of its own: vitest.config.ts finds such files by their text.
const before = processState()
afterAll(() => expect(processState()).toEqual(before))
