/** The public API: names only. */
export { Array } from './engine/api/array.js'
export * as np from './engine/api/np.js'
export { jit } from './engine/api/jit.js'
export { grad, jvp, makeProgram, valueAndGrad, vjp } from './engine/api/transforms.js'
export type { ArrayTree } from './engine/api/tracing.js'
export { ConfigError, FileError, ShapeError, SwitchyardError } from './base/errors.js'
export type { DType } from './base/dtypes.js'
