import { sizeOf } from '../../../base/host-tensor.js'
import { is, Var } from '../../program/program.js'
import type { Atom, Equation, Program } from '../../program/program.js'
import type { Executable } from '../backend.js'
import { fitsProduct } from '../wasm/integer-product.js'
import type { IntegerProducts } from '../wasm/integer-product.js'
import { HostBuffer, inMemory } from './buffer.js'
import type { SessionFactory } from './session.js'

/**
 * The most rows, times the threads of a session. A session shares a product among its threads, and our code has one.
 * Measured with one and two threads, for an expert of 4.7 MB: one row takes 0.4 ms instead of 1.1 and 0.7, four take
 * 0.9 ms, as long as with two threads but for half of the processor time.
 */
const MOST_ROWS_AND_THREADS = 8

/**
 * An executable for a program of products of few rows with 8-bit kernels that are inputs, such as one expert of a
 * model. If the kernels lie in page arenas, they are multiplied where they are, with the same results. Otherwise, and
 * for rows that are 0 or not finite, `whole` runs. Null if the program is another one.
 */
export function forFewRows(
  program: Program,
  products: IntegerProducts,
  whole: Executable,
  sessions: SessionFactory,
): Executable | null {
  const { inputs, equations, outputs } = program
  const given = new Set<Atom>(inputs)
  const isFast = ({ aval }: Atom): boolean => aval.shape[0] * (sessions.threads ?? 1) <= MOST_ROWS_AND_THREADS
  const isKnown = (eqn: Equation): boolean => isRelu(eqn) || isProduct(eqn, given)
  if (equations.length === 0 || !equations.every(isKnown) || !outputs.every(o => o instanceof Var && isFast(o)))
    return null
  // Intermediate results, in the memory of the last run.
  const memory = new Map<Atom, Float32Array>(
    equations.flatMap(({ outputs: [o] }) =>
      outputs.includes(o) ? [] : [[o, new Float32Array(sizeOf(o.aval.shape))] as const],
    ),
  )
  return {
    stats: whole.stats,
    run: async (buffers, written) => {
      // Files that are being read meanwhile, for other experts, get on.
      await sessions.turn?.()
      const values = new Map<Atom, Data>(memory)
      for (const [i, { tensor }] of (await inMemory(buffers)).entries()) values.set(inputs[i], tensor.data)
      for (const o of outputs) if (!values.has(o)) values.set(o, new Float32Array(sizeOf(o.aval.shape)))
      if (!compute(program, products, values)) return whole.run(buffers, written)
      return outputs.map(o => new HostBuffer(o.aval, { ...o.aval, data: values.get(o)! }))
    },
    release: () => whole.release(),
  }
}

const isRelu = (eqn: Equation): boolean =>
  is(eqn, 'composite') &&
  eqn.params.name === 'relu' &&
  eqn.inputs[0] instanceof Var &&
  eqn.inputs[0].aval.dtype === 'float32'

function isProduct(eqn: Equation, inputs: ReadonlySet<Atom>): boolean {
  if (!is(eqn, 'composite') || eqn.params.name !== 'integer_product') return false
  const [x, scales, values] = eqn.inputs
  const [length, outputs] = values.aval.shape
  return x instanceof Var && inputs.has(scales) && inputs.has(values) && fitsProduct(x.aval.shape[0], length, outputs)
}

type Data = HostBuffer['tensor']['data']

/** Computes all equations into their results' memory. False if a product cannot be computed. */
function compute({ equations }: Program, products: IntegerProducts, values: ReadonlyMap<Atom, Data>): boolean {
  return equations.every(({ inputs, outputs: [output] }) => {
    const [x, scales, kernel] = inputs.map(a => values.get(a)) as [Float32Array, Float32Array?, Int8Array?]
    const result = values.get(output) as Float32Array
    if (kernel) return products.multiply(x, inputs[0].aval.shape[0], kernel, scales!, result)
    for (let i = 0; i < x.length; i++) result[i] = Math.max(x[i], 0)
    return true
  })
}
