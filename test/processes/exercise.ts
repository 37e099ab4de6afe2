/** What a process of a job does in tests, whatever connects the processes. */
import type { Communicator, Group } from '../../src/engine/compile/processes/communicator.js'
import { everyone } from '../../src/engine/compile/processes/communicator.js'

/** Values that differ between processes. */
const values = (rank: number, length: number): number[] => Array.from({ length }, (_, i) => (rank + 1) * (i + 3))

/** Calls each operation of the communicator of a job of 4 processes, with several groups, types and lengths. */
export async function exercise(c: Communicator): Promise<number[][]> {
  const { rank } = c
  const results: number[][] = []
  const keep = (data: ArrayLike<number | bigint> | null): void => {
    results.push(data === null ? [-1] : Array.from(data, Number))
  }
  const groups: Group[] = [everyone(c), rank < 2 ? [0, 1] : [2, 3], rank % 2 === 0 ? [2, 0] : [3, 1], [rank]]
  for (const group of groups)
    for (const length of [0, 4, 4 * 1031]) {
      const numbers = values(rank, length)
      const arrays = [
        Float32Array.from(numbers),
        Int32Array.from(numbers, n => -n),
        Uint32Array.from(numbers, n => n + 2 ** 31),
        BigInt64Array.from(numbers, n => BigInt(n) << 33n),
        Int8Array.from(numbers),
        Uint8Array.from(numbers, n => n % 2),
        Uint16Array.from(numbers),
      ]
      for (const data of arrays) {
        keep(await c.reduce(data, 'sum', group))
        keep(await c.reduce(data, 'max', group))
        keep(await c.reduceScatter(data, group))
      }
      const bytes = Uint8Array.from(numbers)
      keep(await c.gather(bytes, group))
      keep(await c.gather(bytes.subarray(length / 4), group))
      keep(await c.exchange(bytes, group))
    }
  const bytes = Uint8Array.from(values(rank, 100))
  const [received] = await Promise.all([c.receive(100, (rank + 3) % 4), c.send(bytes, (rank + 1) % 4)])
  keep(received)
  if (rank === 0) await c.send(bytes.subarray(1), 3)
  if (rank === 3) keep(await c.receive(99, 0))
  const other = await c.duplicate()
  // One process calls for two operations of different communicators in the other order.
  const calls = [() => c.reduce(bytes, 'max', groups[0]), () => other.reduce(bytes, 'sum', groups[0])]
  const sums = await Promise.all((rank === 0 ? calls.toReversed() : calls).map(call => call()))
  for (const sum of rank === 0 ? sums.toReversed() : sums) keep(sum)
  keep(await c.broadcast(bytes, 2))
  return results
}
