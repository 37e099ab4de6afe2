import { is } from '../../program/program.js'
import type { Atom, Equation, Program } from '../../program/program.js'
import type { Executable } from '../backend.js'
import { fitsProduct } from '../wasm/integer-product.js'
import type { IntegerProducts } from '../wasm/integer-product.js'
import { HostBuffer, inMemory } from './buffer.js'
import type { SessionFactory } from './session.js'

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
  const inputs = new Set<Atom>(program.inputs)
  if (program.equations.length === 0 || !program.equations.every(eqn => isRelu(eqn) || isProduct(eqn, inputs)))
    return null
  return {
    stats: whole.stats,
    run: async (buffers, written) => {
      // Files that are being read meanwhile, for other experts, get on.
      await sessions.turn?.()
      const tensors = (await inMemory(buffers)).map(({ tensor }) => tensor.data)
      const values = compute(program, products, new Map(program.inputs.map((v, i) => [v, tensors[i]])))
      if (!values) return whole.run(buffers, written)
      return program.outputs.map(o => new HostBuffer(o.aval, { ...o.aval, data: values.get(o)! }))
    },
    release: () => whole.release(),
  }
}

const isRelu = (eqn: Equation): boolean =>
  is(eqn, 'composite') && eqn.params.name === 'relu' && eqn.inputs[0].aval.dtype === 'float32'

function isProduct(eqn: Equation, inputs: ReadonlySet<Atom>): boolean {
  if (!is(eqn, 'composite') || eqn.params.name !== 'integer_product') return false
  const [x, scales, values] = eqn.inputs
  const [length, outputs] = values.aval.shape
  return inputs.has(scales) && inputs.has(values) && fitsProduct(x.aval.shape[0], length, outputs)
}

type Values = Map<Atom, HostBuffer['tensor']['data']>

/** Adds the results of all equations to `values`. Null if a product cannot be computed. */
function compute({ equations }: Program, products: IntegerProducts, values: Values): Values | null {
  for (const { inputs, outputs } of equations) {
    const [x, scales, kernel] = inputs.map(a => values.get(a))
    const result = kernel
      ? products.multiply(x as Float32Array, inputs[0].aval.shape[0], kernel as Int8Array, scales as Float32Array)
      : (x as Float32Array).map(element => Math.max(element, 0))
    if (!result) return null
    values.set(outputs[0], result)
  }
  return values
}
