import type { HostTensor } from '../../../base/host-tensor.js'
import type { GraphInfo } from './proto.js'

/** Runs one graph on host tensors, writing each output into memory that is given. */
export interface Session {
  run(inputs: readonly HostTensor[], outputs: readonly HostTensor[]): Promise<void>
}

export interface SessionOptions {
  /**
   * Whether the memory of intermediate values is kept between runs: a fifth faster for a big training step, but it only ever
   * grows, in steps of a power of two.
   */
  keepMemory: boolean
}

/** Makes sessions: Node's ONNX Runtime, or the browser's. */
export interface SessionFactory {
  describe(): Promise<string>
  create(graph: GraphInfo, options: SessionOptions): Promise<Session>
}
