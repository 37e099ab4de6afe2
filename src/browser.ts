/**
 * `switchyard-ml/browser`: everything that runs in browsers. Programs run on onnxruntime-web, which is installed beside
 * the package.
 */

export * from './portable.js'

// ONNX Runtime for browsers, with settings of your own: setBackend(new OnnxBackend(webSessions({ ... })))
export { webSessions } from './engine/compile/onnx/web.js'
export type { WebSessionOptions } from './engine/compile/onnx/web.js'
