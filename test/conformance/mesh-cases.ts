import { jit } from '../../src/engine/api/jit.js'
import * as lax from '../../src/engine/api/lax.js'
import { withShardingConstraint } from '../../src/engine/api/mesh.js'
import * as np from '../../src/engine/api/np.js'
import { shardMap } from '../../src/engine/api/shard-map.js'
import type { SpecTree } from '../../src/engine/api/shard-map.js'
import * as tree from '../../src/engine/api/tree.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { valueAndGrad } from '../../src/engine/api/transforms.js'
import { NamedSharding, P } from '../../src/engine/program/sharding.js'
import type { Mesh, SpecEntry } from '../../src/engine/program/sharding.js'
import { variedArray as array } from '../varied-array.js'

/** A function of arrays, on one mesh: how its arguments are split. */
interface Case {
  f: (...args: Tensor[]) => Tensor | Tensor[]
  args: () => Tensor[]
}
const list = (x: Tensor | Tensor[]): Tensor[] => (Array.isArray(x) ? x : [x])

/** Functions under `shardMap`, with every collective, and functions with constraints, for a mesh. */
function casesOn(mesh: Mesh): { [name: string]: Case } {
  const names = mesh.axes.map(a => a.name)
  const [first] = names
  const last = names[names.length - 1]
  const mapped = (f: Case['f'], inSpecs: SpecTree, out: SpecTree): Case['f'] => shardMap(f, mesh, { in: inSpecs, out })
  const on = (...entries: readonly SpecEntry[]): NamedSharding => new NamedSharding(mesh, P(...entries))
  const n = mesh.size
  return {
    'sums, means and extremes': {
      f: mapped(
        x => [lax.psum(x, names), lax.pmean(x, first), lax.pmax(x, names), lax.pmin(x, last)],
        [P(names)],
        [P(), P(names.slice(1)), P(), P(names.slice(0, -1))],
      ),
      args: () => [array([2 * n, 3], 0)],
    },
    'gathers and scatters': {
      f: mapped(
        x => [
          lax.allGather(x, names, { tiled: true }),
          lax.allGather(x, last, { axis: 1 }),
          lax.psumScatter(lax.allGather(x, last, { tiled: true }), last, { tiled: true }),
        ],
        [P(names)],
        [P(), P(names.slice(0, -1)), P(names)],
      ),
      args: () => [array([2 * n, 3], 1)],
    },
    exchanges: {
      f: mapped(
        x => [
          lax.allToAll(x, names, 0, 1, { tiled: true }),
          lax.allToAll(np.reshape(x, [mesh.axisSize(last), -1]), last, 0, 0),
        ],
        [P(names)],
        [P(names), P(names)],
      ),
      args: () => [array([n * n, 2 * n], 2)],
    },
    'permutations and indices': {
      f: mapped(
        x => {
          const size = mesh.axisSize(first)
          const ring = Array.from({ length: size }, (_, i) => [i, (i + 1) % size] as const)
          const index = np.astype(lax.axisIndex(names), 'float32')
          return [lax.ppermute(np.multiply(x, index), first, ring), lax.ppermute(x, last, [[0, 0]])]
        },
        [P(names)],
        P(names),
      ),
      args: () => [array([n, 3], 3)],
    },
    'a loop with a sum in it': {
      f: mapped(
        (w, xs) =>
          lax.scan(
            (c: Tensor, row: Tensor): [Tensor, Tensor] => {
              const next = np.tanh(np.add(np.multiply(c, w), lax.pmean(row, first)))
              return [next, next]
            },
            w,
            xs,
          )[1],
        [P(), P(null, first)],
        P(),
      ),
      args: () => [array([2], 0), array([3, 2 * mesh.axisSize(first)], 4)],
    },
    'a two-layer network with constraints': {
      f: (w1, w2, x) => {
        const hidden = withShardingConstraint(np.tanh(np.matmul(x, w1)), on(first, last === first ? null : last))
        return withShardingConstraint(np.matmul(hidden, w2), on(first))
      },
      args: () => [array([4, 8], 0), array([8, 3], 1), array([2 * n, 4], 2)],
    },
  }
}

/** The results of all cases on a mesh, and the gradients of weighted sums of them, from one program. */
export async function meshResults(mesh: Mesh): Promise<number[][]> {
  const cases = Object.values(casesOn(mesh))
  const args = cases.map(c => c.args())
  const all = jit((...values: Tensor[][]) =>
    cases.map(({ f }, i) => {
      const loss = (...xs: Tensor[]): [Tensor, Tensor[]] => {
        const ys = list(f(...xs))
        return [ys.map((y, k) => np.sum(np.multiply(y, array(y.shape, 5 + k)))).reduce((a, b) => np.add(a, b)), ys]
      }
      return valueAndGrad(loss, { argument: values[i].map((_, k) => k), hasAux: true })(...values[i])
    }),
  )
  return Promise.all(tree.leaves<Tensor>(all(...args)).map(y => y.numbers()))
}
