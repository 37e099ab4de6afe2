import * as ops from '../ops.js'
import type { BlockWriter, Lowered } from '../writer.js'
import type { Lowering } from './rule.js'

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
]

/** Threefry-2x32, as in reference/threefry.ts: one function for each shape of the operands. */
export const threefry2x32: Lowering<'threefry2x32'> = ({ block, module, outs }, inputs) =>
  module.callShared(block, 'threefry2x32', '', inputs, outs, (b, values) => {
    const add = (x: Lowered, y: Lowered): Lowered => ops.elementwise(b, 'add', x, y)
    const xor = (x: Lowered, y: Lowered): Lowered => ops.elementwise(b, 'xor', x, y)
    const [key0, key1, count0, count1] = values
    const keys = [key0, key1, xor(xor(key0, key1), ops.like(b, key0, 0x1bd11bda))]
    let x0 = add(count0, key0)
    let x1 = add(count1, key1)
    for (let round = 0; round < 5; round++) {
      for (const by of rotations[round % 2]) {
        x0 = add(x0, x1)
        x1 = xor(rotated(b, x1, by), x0)
      }
      x0 = add(x0, keys[(round + 1) % 3])
      x1 = add(add(x1, keys[(round + 2) % 3]), ops.like(b, x1, round + 1))
    }
    return [x0, x1]
  })

/** The bits of uint32 elements rotated to the left. */
const rotated = (b: BlockWriter, x: Lowered, by: number): Lowered =>
  ops.elementwise(
    b,
    'or',
    ops.elementwise(b, 'shift_left', x, ops.like(b, x, by)),
    ops.elementwise(b, 'shift_right_logical', x, ops.like(b, x, 32 - by)),
  )
