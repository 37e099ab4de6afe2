/** The public API: names only. */

// Arrays, and functions on them
export { Array } from './engine/api/array.js'
export type { ArrayLike } from './engine/api/array.js'
export * as np from './engine/api/np.js'
export * as lax from './engine/api/lax.js'
export * as random from './engine/api/random.js'

// Transformations of functions
export { assertMaxTraces, jit } from './engine/api/jit.js'
export type { JitOptions } from './engine/api/jit.js'
export { grad, jvp, makeProgram, valueAndGrad, vjp } from './engine/api/transforms.js'
export { hessian, jacobian } from './engine/api/jacobian.js'
export { vmap } from './engine/api/vmap.js'
export { checkpoint } from './engine/api/checkpoint.js'
export { composite, customVjp } from './engine/api/composite.js'
export type { Vjp } from './engine/api/composite.js'
export { ArrayType, evalShape } from './engine/api/eval-shape.js'
export { debugNaNs } from './engine/api/debug.js'
export type { ArrayTree } from './engine/api/tracing.js'

// Backends
export { setBackend } from './engine/api/engine.js'
export type { Backend, Buffer, Executable } from './engine/compile/backend.js'
export { referenceBackend } from './engine/compile/reference/backend.js'

// Models
export { declareParameters } from './model/parameters.js'
export { initParameters } from './model/init.js'
export { presets } from './model/presets.js'
export type { ModelConfig, Reference, RouterConfig } from './model/config.js'

// Errors and types
export { ConfigError, FileError, ShapeError, SwitchyardError } from './base/errors.js'
export type { DType } from './base/dtypes.js'
export type { HostTensor } from './base/tensor.js'
