import type { Backend } from '../compile/backend.js'
import { Engine } from '../compile/engine.js'
import { OnnxBackend } from '../compile/onnx/backend.js'
import type { SessionFactory } from '../compile/onnx/session.js'
import { setFallbackEvaluator } from '../program/trace.js'

let engine: Engine | undefined

/** The engine that new arrays live on, made at first use: ONNX Runtime, unless `setBackend` chose another. */
export function defaultEngine(): Engine {
  return engine ?? setBackend(new OnnxBackend(lazyNodeSessions))
}

/** Makes a backend the default for new arrays. Arrays of another backend are copied over where they are used. */
export function setBackend(backend: Backend): Engine {
  engine = new Engine(backend)
  setFallbackEvaluator(engine)
  return engine
}

const load = async (): Promise<SessionFactory> => (await import('../compile/onnx/node.js')).nodeSessions()

/** Node's sessions, loaded when the first one is made: importing the library does no work. */
const lazyNodeSessions: SessionFactory = {
  describe: async () => (await load()).describe(),
  create: async (model, options) => (await load()).create(model, options),
}
