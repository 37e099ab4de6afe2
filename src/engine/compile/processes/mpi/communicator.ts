import { hostname } from 'node:os'
import { readFileSync, rmSync } from 'node:fs'
import type { TypedArray } from '../../../../base/dtypes.js'
import { SwitchyardError } from '../../../../base/errors.js'
import { cachedPromise } from '../../../../base/promise-cache.js'
import { everyone, ProcessEndedError } from '../communicator.js'
import type { Communicator, Group, Reduction } from '../communicator.js'
import type { Handle } from './abi.js'
import { sharedMemoryOf } from './shared-memory.js'
import type { Argument, FunctionName, MpiLibrary } from './library.js'

/** Where a process of the job runs. */
interface Peer {
  readonly host: string
  readonly pid: number
}

/** More elements than this are moved by several calls: MPI counts by 32 bits. */
const MAX_COUNT = 1 << 30
/** For how long a wait asks without a pause: 0.1 ms, as long as an operation takes if all processes are there. */
const EAGER_MS = 0.1
/**
 * The pause between two questions: other processes may need this processor. It is a share of the time waited so far,
 * so that a wait takes little longer for it, and asks some dozens of times however long it is.
 */
const SHORTEST_PAUSE_MS = 0.05
const LONGEST_PAUSE_MS = 1
const PAUSE_SHARE = 1 / 16
/** How often a waiting process looks whether the others are alive. */
const CHECK_MS = 250
/** More than MPI_Status takes in any binary interface (20 to 32 bytes). */
const STATUS_BYTES = 64
/** What is known about a peer, in bytes of UTF-8: more than the longest name of a host (255) and a pid take. */
const PEER_BYTES = 512

/**
 * Processes that MPI connects. Operations do not block JavaScript: each is begun and then asked for, with pauses, so
 * that the processes of one machine do not take the processors from each other while they wait. If a process on this
 * machine ends, those that wait for it end with an error.
 */
export class MpiCommunicator implements Communicator {
  readonly library: string
  private readonly handles = new Map<string, Promise<Handle>>()
  private isLeaving = false

  private constructor(
    private readonly mpi: MpiLibrary,
    readonly rank: number,
    readonly size: number,
    /** MPI's communicator of all processes. */
    private readonly all: Handle,
    private peers: readonly Peer[] = [],
  ) {
    this.library = mpi.kind.version
  }

  /** Joins the job that this process was started in. */
  static async join(mpi: MpiLibrary): Promise<MpiCommunicator> {
    mpi.initialize()
    const { COMM_WORLD } = mpi.handles
    const [rank, size] = [mpi.read('Comm_rank', COMM_WORLD), mpi.read('Comm_size', COMM_WORLD)]
    const communicator = new MpiCommunicator(mpi, rank, size, COMM_WORLD)
    communicator.peers = await communicator.meet()
    return communicator
  }

  get localSize(): number {
    return this.peers.filter(peer => peer.host === this.peers[this.rank].host).length
  }

  async reduce(data: TypedArray, how: Reduction, group: Group): Promise<TypedArray> {
    const { handles } = this.mpi
    const result = emptyLike(data, data.length)
    for (let at = 0; at < data.length; at += MAX_COUNT) {
      const [from, to] = [data, result].map(array => array.subarray(at, at + MAX_COUNT))
      await this.operation(group, [from, to], comm => [
        'Iallreduce',
        from,
        to,
        to.length,
        this.typeOf(data),
        handles[how === 'sum' ? 'SUM' : 'MAX'],
        comm,
      ])
    }
    return result
  }

  async reduceScatter(data: TypedArray, group: Group): Promise<TypedArray> {
    const result = emptyLike(data, data.length / group.length)
    checkCount(result.length)
    await this.operation(group, [data, result], comm => [
      'Ireduce_scatter_block',
      data,
      result,
      result.length,
      this.typeOf(data),
      this.mpi.handles.SUM,
      comm,
    ])
    return result
  }

  async gather(bytes: Uint8Array, group: Group): Promise<Uint8Array> {
    const result = new Uint8Array(bytes.length * group.length)
    const { count, type } = this.unitsOf(bytes.length)
    await this.operation(group, [bytes, result], comm => ['Iallgather', bytes, count, type, result, count, type, comm])
    return result
  }

  async exchange(bytes: Uint8Array, group: Group): Promise<Uint8Array> {
    const result = new Uint8Array(bytes.length)
    const { count, type } = this.unitsOf(bytes.length / group.length)
    await this.operation(group, [bytes, result], comm => ['Ialltoall', bytes, count, type, result, count, type, comm])
    return result
  }

  async send(bytes: Uint8Array, to: number): Promise<void> {
    const { count, type } = this.unitsOf(bytes.length)
    await this.operation(null, [bytes], comm => ['Isend', bytes, count, type, to, 0, comm])
  }

  async receive(length: number, from: number): Promise<Uint8Array> {
    const result = new Uint8Array(length)
    const { count, type } = this.unitsOf(length)
    await this.operation(null, [result], comm => ['Irecv', result, count, type, from, 0, comm])
    return result
  }

  async broadcast(bytes: Uint8Array, root: number): Promise<Uint8Array> {
    const result = bytes.slice()
    const { count, type } = this.unitsOf(bytes.length)
    await this.operation(null, [result], comm => ['Ibcast', result, count, type, root, comm])
    return result
  }

  async duplicate(): Promise<MpiCommunicator> {
    const all = this.mpi.readHandle('Comm_dup', this.all)
    return new MpiCommunicator(this.mpi, this.rank, this.size, all, this.peers)
  }

  abort(code: number): never {
    for (const path of sharedMemoryOf('self')) rmSync(path, { force: true })
    this.mpi.call('Abort', this.mpi.handles.COMM_WORLD, code)
    process.exit(code)
  }

  async leave(): Promise<void> {
    if (this.isLeaving) return
    this.isLeaving = true
    await this.operation(null, [], comm => ['Ibarrier', comm])
    this.mpi.call('Finalize')
  }

  /** Throws a ProcessEndedError if a process of the job that runs on this machine has ended. */
  checkPeers(): void {
    const own = this.peers[this.rank]
    this.peers.forEach(({ host, pid }, rank) => {
      if (host === own.host && !isAlive(pid))
        throw new ProcessEndedError(
          `process ${rank} of ${this.size} (pid ${pid} on ${host}) has ended, so the others cannot go on: ` +
            'see its own message, or the system log if it was killed, for example for lack of memory',
          rank,
        )
    })
  }

  /** Begins an operation and waits for it. `memory`: what it reads and writes, which is kept until it is done. */
  private async operation(
    group: Group | null,
    memory: readonly ArrayBufferView[],
    call: (comm: Handle) => [FunctionName, ...Argument[]],
  ): Promise<void> {
    const comm =
      group === null || (group.length === this.size && group.every((r, i) => r === i))
        ? this.all
        : await this.handleOf(group)
    const request = this.mpi.memoryForHandle()
    const [name, ...args] = call(comm)
    this.mpi.call(name, ...args, request)
    inUse.add(memory)
    try {
      await this.finished(request)
    } finally {
      inUse.delete(memory)
    }
  }

  private async finished(request: Int32Array | BigInt64Array): Promise<void> {
    const done = new Int32Array(1)
    const status = new Uint8Array(STATUS_BYTES)
    const begin = performance.now()
    let checked = begin
    for (;;) {
      this.mpi.call('Test', request, done, status)
      if (done[0] !== 0) return
      const now = performance.now()
      if (now - begin < EAGER_MS) continue
      if (now - checked > CHECK_MS) {
        this.checkPeers()
        checked = now
      }
      const share = PAUSE_SHARE * (now - begin)
      Atomics.wait(pause, 0, 0, Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, share)))
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** MPI's communicator of a group, made at its first use, which all of the group make at once. */
  private handleOf(group: Group): Promise<Handle> {
    return cachedPromise(this.handles, group.join(), () => this.makeHandle(group))
  }

  private async makeHandle(group: Group): Promise<Handle> {
    const world = this.mpi.readHandle('Comm_group', this.all)
    const members = this.mpi.readHandle('Group_incl', world, group.length, Int32Array.from(group))
    return this.mpi.readHandle('Comm_create_group', this.all, members, 0)
  }

  /** Tells all processes where this one runs, and learns where they do. */
  private async meet(): Promise<Peer[]> {
    const own = new Uint8Array(PEER_BYTES)
    new TextEncoder().encodeInto(JSON.stringify({ host: hostname(), pid: process.pid } satisfies Peer), own)
    const all = await this.gather(own, everyone(this))
    return Array.from({ length: this.size }, (_, i) => {
      const bytes = all.subarray(i * PEER_BYTES, (i + 1) * PEER_BYTES)
      return JSON.parse(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))) as Peer
    })
  }

  /** Bytes as few elements of a type. */
  private unitsOf(bytes: number): { count: number; type: Handle } {
    const { INT64_T, INT32_T, BYTE } = this.mpi.handles
    const [size, type] = bytes % 8 === 0 ? [8, INT64_T] : bytes % 4 === 0 ? [4, INT32_T] : [1, BYTE]
    checkCount(bytes / size)
    return { count: bytes / size, type }
  }

  private typeOf(data: TypedArray): Handle {
    const { handles } = this.mpi
    if (data instanceof Float32Array) return handles.FLOAT
    if (data instanceof Int32Array) return handles.INT32_T
    if (data instanceof Uint32Array) return handles.UINT32_T
    if (data instanceof BigInt64Array) return handles.INT64_T
    if (data instanceof Int8Array) return handles.INT8_T
    return data instanceof Uint16Array ? handles.UINT16_T : handles.UINT8_T
  }
}

/** Memory that MPI uses at the moment: kept here, so that it is not garbage-collected. */
const inUse = new Set<readonly ArrayBufferView[]>()

/** Never woken: a wait on it is a pause. */
const pause = new Int32Array(new SharedArrayBuffer(4))

/** Whether a process of this machine is running. One that has ended may still be listed, as a zombie. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return true
  }
}

/** A new array of the same type. */
const emptyLike = (data: TypedArray, length: number): TypedArray =>
  new (data.constructor as new (length: number) => TypedArray)(length)

function checkCount(count: number): void {
  if (count > 2 ** 31 - 1)
    throw new SwitchyardError(
      `an array of ${count} elements is too large for one message of MPI: use a larger mesh, or a smaller batch or model`,
    )
}
