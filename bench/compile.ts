/**
 * How compile time grows with the number of equations, in milliseconds of processor time, stage by stage. Run it by
 * `node bench/dist/bench/compile.js [KIND ...]`. Each kind of program is compiled at 4,000 and at 20,000 equations; a
 * linear compiler takes 5 times as long for the second.
 */
import type { Tensor } from '../src/engine/api/tensor.js'
import * as np from '../src/engine/api/np.js'
import { grad, makeProgram } from '../src/engine/api/transforms.js'
import { nodeSessions } from '../src/engine/compile/onnx/node.js'
import { toGraphInChunks } from '../src/engine/compile/onnx/model.js'
import { encodeModel } from '../src/engine/compile/onnx/proto.js'
import { expandRaggedDots } from '../src/engine/compile/onnx/ragged-dot/expand.js'
import { cutUpdate } from '../src/engine/compile/segments.js'
import { loopLimits } from '../src/engine/compile/wasm/codegen.js'
import { simplify } from '../src/engine/transform/simplify.js'

type Kind = (size: number) => { f: (...args: Tensor[]) => Tensor | Tensor[]; args: Tensor[]; donated?: boolean[] }

const times = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** A function whose equations depend on each other in a line. */
const chain =
  (size: number) =>
  (x: Tensor): Tensor => {
    for (let i = 0; i < size / 2; i++) x = np.add(np.sin(x), 0.5)
    return x
  }

const kinds: { [name: string]: Kind } = {
  chain: size => ({ f: chain(size), args: [np.ones([4])] }),
  products: size => ({
    f: x => {
      for (let i = 0; i < size / 4; i++) x = np.tanh(np.add(np.matmul(x, x), np.multiply(x, 0.1)))
      return x
    },
    args: [np.ones([4, 4])],
  }),
  gradient: size => ({ f: grad((x: Tensor) => np.sum(chain(size / 3)(x))), args: [np.ones([4])] }),
  fanOut: size => ({
    f: x => {
      let sum = x
      for (const i of times(size / 2)) sum = np.add(sum, np.multiply(x, i + 2))
      return sum
    },
    args: [np.ones([4])],
  }),
  outputs: size => ({ f: x => times(size / 2).map(i => np.sin(np.multiply(x, i + 2))), args: [np.ones([4])] }),
  split: size => ({ f: x => np.split(x, size), args: [np.ones([size * 2])] }),
  update: size => ({
    f: (...args) => {
      const half = args.length / 2
      const scale = np.sum(args[half])
      return args
        .slice(0, half)
        .map((p, i) => np.subtract(p, np.multiply(np.multiply(args[half + i], scale), 0.1 + i / 100)))
    },
    args: times(Math.round(size / 3)).flatMap(() => [np.ones([4]), np.ones([4])]),
    donated: times(Math.round(size / 3)).flatMap(() => [true, false]),
  }),
}

const sizes = (process.env.SIZES ?? '4000,20000').split(',').map(Number)
const chosen = process.argv.slice(2)
for (const [name, kind] of Object.entries(kinds)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const rows: { [stage: string]: number }[] = []
  for (const size of sizes) {
    const row: { [stage: string]: number } = {}
    let from = process.cpuUsage()
    const lap = (stage: string): void => {
      const { user, system } = process.cpuUsage(from)
      row[stage] = (user + system) / 1000
      from = process.cpuUsage()
    }
    const { f, args, donated = [] } = kind(size)
    lap('arguments')
    const program = makeProgram(f)(...args)
    lap('trace')
    const key = program.toString()
    lap('key')
    const simple = simplify(program)
    lap('simplify')
    const segments = cutUpdate(simple, donated, loopLimits)
    lap('segments')
    const graph = expandRaggedDots(toGraphInChunks(segments.main), true)
    lap('graph')
    const bytes = encodeModel(graph)
    lap('encode')
    if (segments.main.outputs.length > 0) await nodeSessions().create(graph, { keepMemory: false })
    lap('session')
    row.total = Object.values(row).reduce((a, b) => a + b) - row.arguments
    row.equations = program.equations.length
    row.nodes = graph.nodes.length
    row.kilobytes = (key.length + bytes.length) / 1024
    rows.push(row)
    console.log(
      name,
      Object.entries(row)
        .map(([stage, n]) => `${stage} ${Math.round(n)}`)
        .join('  '),
    )
  }
  const [first, last] = [rows[0], rows[rows.length - 1]]
  console.log(
    name,
    'ratios',
    Object.keys(first)
      .map(stage => `${stage} ${(last[stage] / first[stage]).toFixed(1)}`)
      .join('  '),
  )
}
