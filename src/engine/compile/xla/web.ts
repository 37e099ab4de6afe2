import { SwitchyardError } from '../../../base/errors.js'
import type { XlaOptions } from './options.js'

/** In a browser there is no XLA: a bundle maps `#pjrt` to this module. */
export const openXla: (options?: XlaOptions) => Promise<never> = () =>
  Promise.reject(new SwitchyardError('the backend xla runs in Node only: in a browser there is onnx'))
