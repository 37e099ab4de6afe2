import type { TypedArray } from '../../../base/dtypes.js'
import { SwitchyardError } from '../../../base/errors.js'

/** Another process of the job has ended, so that this one cannot go on. */
export class ProcessEndedError extends SwitchyardError {
  constructor(
    message: string,
    /** The number of that process. */
    readonly ended: number,
  ) {
    super(message)
  }
}

/** Processes by their ranks, in the order in which their data is put together. This process is one of them. */
export type Group = readonly number[]

/** How arrays of several processes are combined, element by element. Integers wrap; `max` of bool is OR. */
export type Reduction = 'sum' | 'max'

/**
 * What processes of one job do together. Each operation is called by all processes of its group, in the same order,
 * with arrays of the same type and length. Operations of different groups do not wait for each other. An array that is
 * passed is not written, and must stay as it is until the promise resolves.
 */
export interface Communicator {
  /** The number of this process, from 0 on. */
  readonly rank: number
  /** The number of processes. */
  readonly size: number
  /** How many of the processes run on this machine. */
  readonly localSize: number
  /** What the processes' messages go through, with its version, for reports. */
  readonly library: string
  /** The arrays of the group combined, on each process. All get the same bits. */
  reduce(data: TypedArray, how: Reduction, group: Group): Promise<TypedArray>
  /** The sum of the group's arrays, of which each process gets its part: the arrays are split into equal parts. */
  reduceScatter(data: TypedArray, group: Group): Promise<TypedArray>
  /** The bytes of all processes of the group, one after the other. */
  gather(bytes: Uint8Array, group: Group): Promise<Uint8Array>
  /** Splits the bytes into equal parts, sends part i to process i of the group; the parts received in order. */
  exchange(bytes: Uint8Array, group: Group): Promise<Uint8Array>
  /** Sends bytes to a process, which receives them. */
  send(bytes: Uint8Array, to: number): Promise<void>
  /** The next bytes, as many as these, that a process sends to this one. */
  receive(length: number, from: number): Promise<Uint8Array>
  /** The bytes of process `root`, on all processes of the job. They know how many these are. */
  broadcast(bytes: Uint8Array, root: number): Promise<Uint8Array>
  /** Connects the same processes for other purposes: operations of both may be called in any order. All call this. */
  duplicate(): Promise<Communicator>
  /** Ends all processes of the job at once. */
  abort(code: number): never
  /** Leaves the job, once all processes call it. Nothing can be sent afterwards. */
  leave(): Promise<void>
}

/** All processes of a job. */
export const everyone = ({ size }: Pick<Communicator, 'size'>): Group => Array.from({ length: size }, (_, i) => i)
