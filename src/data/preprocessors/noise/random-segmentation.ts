import { streamOf } from '../../random/seed.js'
import type { Seed } from '../../random/seed.js'
import { FLOAT_BITS } from '../../random/stateless.js'

/** Memory that is used again by each call: a new typed array costs more than filling it. */
let numbers = new Uint32Array(0)
let starts = new Int32Array(0)

/**
 * Random lengths of `segments` non-empty parts of `items` items; all ways to cut are equally likely. `segments` is at
 * most `items`.
 *
 * T5 marks the first segments - 1 of the items - 1 places between items as cuts, and shuffles the marks by the order of
 * random numbers. A mark's new place is the number of places that come before it in this order. Only the marks are
 * sorted here, and the numbers of all other places are counted between them, which is several times as fast as a sort
 * of all.
 */
export function randomSegmentation(items: number, segments: number, seed: Seed): number[] {
  const cuts = segments - 1
  const places = items - 1
  const lengths: number[] = []
  for (let segment = 0; segment < segments; segment++) lengths.push(1)
  if (cuts === 0) {
    lengths[0] = items
    return lengths
  }
  if (numbers.length < items + 3) numbers = new Uint32Array(4 * items)
  streamOf(seed).fill(numbers, places)
  const randomBits = 2 ** FLOAT_BITS - 1
  for (let place = 0; place < places; place++) numbers[place] &= randomBits
  const marks = numbers.subarray(0, cuts).sort()
  const shift = fillStarts(marks)
  // A segment has the item of its mark and the places whose numbers are from this mark's on and below the next mark's.
  // At equal numbers the mark is first, because the shuffle is stable and the marks were first.
  for (let place = cuts; place < places; place++) {
    const number = numbers[place]
    let segment = starts[number >>> shift]
    while (segment < cuts && marks[segment] <= number) segment++
    lengths[segment]++
  }
  return lengths
}

/**
 * Sorts numbers into bins by their highest bits: `starts[bin]` is the number of marks in lower bins. Returns how many
 * bits are below the highest ones.
 */
function fillStarts(marks: Uint32Array): number {
  const bits = Math.min(FLOAT_BITS, 33 - Math.clz32(marks.length))
  const bins = 2 ** bits
  const shift = FLOAT_BITS - bits
  if (starts.length < bins) starts = new Int32Array(bins)
  let mark = 0
  for (let bin = 0; bin < bins; bin++) {
    while (mark < marks.length && marks[mark] >>> shift < bin) mark++
    starts[bin] = mark
  }
  return shift
}
