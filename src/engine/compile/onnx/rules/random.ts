import type { GraphWriter, Lowered } from '../graph.js'
import { Formula } from './formula.js'
import type { Lowering } from './rule.js'

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
]

/** Threefry-2x32 with 20 rounds, in uint32 (Salmon et al. 2011, section 3.3). */
export const threefry2x32: Lowering<'threefry2x32'> = ({ g }, [key0, key1, count0, count1]) => {
  const f = new Formula(g)
  const parity = g.scalar('uint32', 0x1bd11bda)
  const keys = [key0, key1, f.op('BitwiseXor', f.op('BitwiseXor', key0, key1), parity)]
  let x0 = f.op('Add', count0, key0)
  let x1 = f.op('Add', count1, key1)
  for (let block = 0; block < 5; block++) {
    for (const r of rotations[block % 2]) {
      x0 = f.op('Add', x0, x1)
      x1 = f.op('BitwiseXor', rotateLeft(g, x1, r), x0)
    }
    x0 = f.op('Add', x0, keys[(block + 1) % 3])
    x1 = f.op('Add', x1, f.op('Add', keys[(block + 2) % 3], g.scalar('uint32', block + 1)))
  }
  return [x0, x1]
}

function rotateLeft(g: GraphWriter, x: Lowered, bits: number): Lowered {
  const by = (n: number, direction: string): Lowered =>
    g.node('BitShift', [x, g.scalar('uint32', n)], 'uint32', x.shape, { direction })
  return g.node('BitwiseOr', [by(bits, 'LEFT'), by(32 - bits, 'RIGHT')], 'uint32', x.shape)
}
