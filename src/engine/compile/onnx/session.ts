import type { HostTensor } from '../../../base/host-tensor.js'
import type { GraphInfo } from './proto.js'

/**
 * Runs one graph. The inputs are the graph's `x0, x1, ...`; its outputs `y0, y1, ...` are written into the given
 * tensors.
 */
export interface Session {
  run(inputs: readonly HostTensor[], outputs: readonly HostTensor[]): Promise<void>
  /** Frees the session's memory and threads. It must not be running, and cannot run afterwards. */
  release(): Promise<void>
}

export interface SessionOptions {
  /**
   * Whether the memory of intermediate values is kept between runs. This makes a large training step a fifth faster,
   * but the memory never shrinks, and grows in steps of a power of two.
   */
  keepMemory: boolean
  /**
   * Whether idle threads spin for longer before they sleep: good for long runs, in which threads often wait for each
   * other; bad for short runs of several sessions, which take the processors from each other. Default: false.
   */
  longSpins?: boolean
  /**
   * Whether the places of intermediate values are planned once for each set of input shapes, so that a run asks for
   * their memory once: good for short runs of many small operations. A plan's memory comes in addition to that of its
   * first run. Default: false.
   */
  planMemory?: boolean
  /** Whether the thread that runs the session is its only one: for many small sessions. Default: false. */
  oneThread?: boolean
}

/** Makes sessions. `nodeSessions` (node.ts) uses onnxruntime-node, `webSessions` (web.ts) onnxruntime-web. */
export interface SessionFactory {
  /** ONNX Runtime's package, version and threads, for reports. */
  describe(): Promise<string>
  create(graph: GraphInfo, options: SessionOptions): Promise<Session>
  /** Whether sessions read weights that are in files (`FileTensor`). Left out if all weights must be in memory. */
  readsFiles?(): Promise<boolean>
  /** How many threads compute a session's run. Left out: one. */
  readonly threads?: number
  /** Lets the event loop turn, as a session does in each run. Left out if a run blocks it. */
  turn?(): Promise<void>
  /**
   * Frees the memory of arrays that nothing refers to, now instead of at some later time. Left out if it cannot be
   * done.
   */
  collectGarbage?(): void
}
