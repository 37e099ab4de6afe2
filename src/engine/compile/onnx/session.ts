import type { HostTensor } from '../../../base/tensor.js'

/** Runs one serialized model on host tensors, writing each output into memory that is given. */
export interface Session {
  run(inputs: readonly HostTensor[], outputs: readonly HostTensor[]): Promise<void>
}

/** Makes sessions: Node's ONNX Runtime, or the browser's. */
export interface SessionFactory {
  describe(): Promise<string>
  create(model: Uint8Array): Promise<Session>
}
