/** Jobs of several processes without processes: for tests of what lies above the communicator. */
import type { TypedArray } from '../../src/base/dtypes.js'
import type { Backend, Buffer, Executable } from '../../src/engine/compile/backend.js'
import { join } from '../../src/engine/compile/parts.js'
import { ProcessesBackend } from '../../src/engine/compile/processes/backend.js'
import { everyone } from '../../src/engine/compile/processes/communicator.js'
import type { Communicator, Group } from '../../src/engine/compile/processes/communicator.js'

/** What one process brings to an operation, and whom to tell when all have. */
interface Meeting {
  readonly brought: Map<number, Uint8Array | TypedArray>
  readonly waiting: ((all: ReadonlyMap<number, Uint8Array | TypedArray>) => void)[]
}

/** The communicators of a job whose processes are all in this one. */
export function localCommunicators(size: number): Communicator[] {
  const meetings = new Map<string, Meeting>()
  const turns = new Map<string, number>()
  /** Waits until all of a group have brought something to its next operation. */
  const meet = async <T extends Uint8Array | TypedArray>(rank: number, group: Group, data: T): Promise<T[]> => {
    const turn = turns.get(`${group} ${rank}`) ?? 0
    turns.set(`${group} ${rank}`, turn + 1)
    const key = `${group} ${turn}`
    const meeting: Meeting = meetings.get(key) ?? { brought: new Map(), waiting: [] }
    meetings.set(key, meeting)
    meeting.brought.set(rank, data.slice())
    if (meeting.brought.size === group.length) {
      meetings.delete(key)
      for (const tell of meeting.waiting) tell(meeting.brought)
      return group.map(r => meeting.brought.get(r) as T)
    }
    const all = await new Promise<ReadonlyMap<number, Uint8Array | TypedArray>>(tell => meeting.waiting.push(tell))
    return group.map(r => all.get(r) as T)
  }
  const concatenated = (list: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(list))
  const mail = new Map<string, { bytes?: Uint8Array; tell?: (bytes: Uint8Array) => void }>()
  const counts = new Map<string, number>()
  const letter = (from: number, to: number, side: string): { bytes?: Uint8Array; tell?: (b: Uint8Array) => void } => {
    const count = counts.get(`${from} ${to} ${side}`) ?? 0
    counts.set(`${from} ${to} ${side}`, count + 1)
    const key = `${from} ${to} ${count}`
    const found = mail.get(key) ?? {}
    mail.set(key, found)
    return found
  }
  const duplicates: Communicator[][] = []
  const duplicated = new Map<number, number>()
  return Array.from({ length: size }, (_, rank): Communicator => {
    const reduce: Communicator['reduce'] = async (data, how, group) => {
      const [first, ...rest] = await meet(rank, group, data)
      const total = first.slice()
      for (const other of rest)
        for (let i = 0; i < total.length; i++) {
          const [a, b] = [total[i], other[i]]
          total[i] = (how === 'sum' ? (a as number) + (b as number) : a > b ? a : b) as never
        }
      return total
    }
    return {
      rank,
      size,
      localSize: size,
      library: 'in one process',
      reduce,
      reduceScatter: async (data, group) => {
        const total = await reduce(data, 'sum', group)
        const length = total.length / group.length
        const own = group.indexOf(rank)
        return total.slice(own * length, (own + 1) * length)
      },
      gather: async (bytes, group) => concatenated(await meet(rank, group, bytes)),
      exchange: async (bytes, group) => {
        const length = bytes.length / group.length
        const own = group.indexOf(rank)
        return concatenated((await meet(rank, group, bytes)).map(b => b.subarray(own * length, (own + 1) * length)))
      },
      send: async (bytes, to) => {
        const sent = letter(rank, to, 'sent')
        sent.bytes = bytes.slice()
        sent.tell?.(sent.bytes)
      },
      receive: async (_, from) => {
        const received = letter(from, rank, 'received')
        return received.bytes ?? new Promise(tell => (received.tell = tell))
      },
      broadcast: async (bytes, root) => (await meet(rank, everyone({ size }), bytes))[root],
      duplicate: async () => {
        const turn = duplicated.get(rank) ?? 0
        duplicated.set(rank, turn + 1)
        duplicates[turn] ??= localCommunicators(size)
        return duplicates[turn][rank]
      },
      abort: code => {
        throw new Error(`the job was aborted with code ${code}`)
      },
      leave: async () => undefined,
    }
  })
}

/** The backends of a job's processes. */
export const localBackends = (size: number, inner: (rank: number) => Backend): Promise<ProcessesBackend[]> =>
  Promise.all(localCommunicators(size).map(c => ProcessesBackend.create(inner(c.rank), c)))

/** All processes of a job as one backend of as many devices, so that tests of backends can use it. */
export async function jobAsBackend(size: number, inner: (rank: number) => Backend): Promise<Backend> {
  const ranks = await localBackends(size, inner)
  const [first] = ranks
  const partsOf = (buffer: Buffer): readonly Buffer[] => (buffer as JobBuffer).parts
  const all = (parts: readonly Buffer[]): JobBuffer => new JobBuffer(parts)
  return {
    name: first.name,
    numDevices: size,
    partitionsPrograms: false,
    describe: () => first.describe(),
    put: (tensor, sharding) => all(ranks.map(r => r.put(tensor, sharding))),
    putParts: async (type, sharding, read) => all(await Promise.all(ranks.map(r => r.putParts(type, sharding, read)))),
    compile: async (program, donated, partition) => {
      const executables = await Promise.all(ranks.map(r => r.compile(program, donated, partition)))
      return together(executables, partsOf, all)
    },
    explain: (program, donated) => first.explain(program, donated),
    compileWithWeights: async (examples, weights, donated, options) => {
      const compiled = await Promise.all(
        ranks.map((r, rank) =>
          r.compileWithWeights(
            examples,
            weights.map(w => w && partsOf(w)[rank]),
            donated,
            options,
          ),
        ),
      )
      return {
        copied: compiled[0].copied,
        at: async program => together(await Promise.all(compiled.map(c => c.at(program))), partsOf, all),
        release: async () => void (await Promise.all(compiled.map(c => c.release()))),
      }
    },
  }
}

/** An array of all processes. */
class JobBuffer implements Buffer {
  constructor(readonly parts: readonly Buffer[]) {}
  get aval(): Buffer['aval'] {
    return this.parts[0].aval
  }
  get sharding(): Buffer['sharding'] {
    return this.parts[0].sharding
  }
  get shards(): Buffer['shards'] {
    const shards = this.parts.flatMap(p => p.shards ?? [])
    return this.sharding && shards.filter((s, i) => shards.findIndex(t => t.start.join() === s.start.join()) === i)
  }
  async read(): ReturnType<Buffer['read']> {
    const { shards } = this
    if (!shards) return this.parts[0].read()
    return join(this.aval, await Promise.all(shards.map(async s => ({ start: s.start, tensor: await s.read() }))))
  }
}

const together = (
  executables: readonly Executable[],
  partsOf: (buffer: Buffer) => readonly Buffer[],
  all: (parts: readonly Buffer[]) => Buffer,
): Executable => ({
  stats: executables[0].stats,
  shardings: executables[0].shardings,
  run: async (inputs, written, name) => {
    const sets = executables.map(() => new Set<Buffer>())
    try {
      const results = await Promise.all(
        executables.map((e, rank) =>
          e.run(
            inputs.map(b => partsOf(b)[rank]),
            sets[rank],
            name,
          ),
        ),
      )
      return results[0].map((_, i) => all(results.map(r => r[i])))
    } finally {
      for (const input of inputs) if (partsOf(input).some((p, rank) => sets[rank].has(p))) written?.add(input)
    }
  },
  release: async () => void (await Promise.all(executables.map(e => e.release()))),
})
