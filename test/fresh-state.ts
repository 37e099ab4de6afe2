/** Runs before each test file that shares its process with others: no file sees what another one has set. */
import { OnnxBackend } from '../src/engine/compile/onnx/backend.js'
import { setBackend } from '../src/engine/api/engine.js'
import { nodeSessions } from '../src/engine/compile/onnx/node.js'
import { onLongWork } from '../src/data/long-work.js'

setBackend(new OnnxBackend(nodeSessions()))
onLongWork(undefined)
