import { formatBytes, formatCount } from '../../base/format.js'
import { choosePins, pinList } from '../../infer/paging/pins.js'
import { turnsOfTrace } from './open-trace.js'
import { slotsFor } from './simulating.js'
import type { MemorySize } from './simulating.js'
import { writeOutput } from '../shared/output-file.js'

/** Writes the list of experts that a trace uses most, for a memory of this size. Returns what it pins, in a line. */
export async function pinTrace(path: string, memory: MemorySize, out: string): Promise<string> {
  const { turns, pages, model } = await turnsOfTrace(path)
  const slots = slotsFor(memory, pages)
  const pinned = choosePins(turns, pages, slots)
  await writeOutput(out, `${JSON.stringify(pinList(model, pinned, pages), null, 2)}\n`)
  return `${out}: ${formatCount(pinned.size)} experts, ${formatBytes(pinned.size * pages.slotBytes)} of the ${formatCount(slots)} that fit into ${memory.text}`
}
