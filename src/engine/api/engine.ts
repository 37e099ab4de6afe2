import type { Backend } from '../compile/backend.js'
import { Engine } from '../compile/engine.js'
import { OnnxBackend } from '../compile/onnx/backend.js'
import type { SessionFactory } from '../compile/onnx/session.js'
import { setFallbackEvaluator } from '../program/trace.js'

let engine: Engine | undefined

/** The engine that new arrays live on, made at first use: ONNX Runtime, unless `setBackend` chose another. */
export function defaultEngine(): Engine {
  return engine ?? setBackend(onnxBackend())
}

/** The backend of ONNX Runtime, on all processors. */
export const onnxBackend = (): OnnxBackend => new OnnxBackend(lazySessions)

/** Makes a backend the default for new arrays. Arrays of another backend are copied over where they are used. */
export function setBackend(backend: Backend): Engine {
  engine = new Engine(backend)
  setFallbackEvaluator(engine)
  return engine
}

let sessions: SessionFactory | undefined
const load = async (): Promise<SessionFactory> => (sessions ??= (await import('#onnx-sessions')).defaultSessions())

/**
 * Creates ONNX Runtime's sessions. `#onnx-sessions` is onnx/node.ts in Node and onnx/web.ts in a bundle for the browser
 * (see "imports" in package.json). ONNX Runtime is loaded with the first session, so that importing this library does
 * no work. Its type requires every member of `SessionFactory`, so that none is forgotten here.
 */
const lazySessions: { [K in keyof Required<SessionFactory>]: SessionFactory[K] } = {
  get threads() {
    return sessions?.threads
  },
  turn: async () => sessions?.turn?.(),
  describe: async () => (await load()).describe(),
  create: async (graph, options) => (await load()).create(graph, options),
  readsFiles: async () => (await load()).readsFiles?.() ?? false,
  collectGarbage: () => sessions?.collectGarbage?.(),
}
