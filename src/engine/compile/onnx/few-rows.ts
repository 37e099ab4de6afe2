import { bytesOfType, sizeOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { is, Program, Var } from '../../program/program.js'
import type { Atom, Equation } from '../../program/program.js'
import type { Buffer, Executable, FewRows } from '../backend.js'
import { BlockProducts, fitsBlockProduct } from '../wasm/block-product.js'
import { fitsProduct, IntegerProducts } from '../wasm/integer-product.js'
import { HostBuffer, inMemory } from './buffer.js'
import type { SessionFactory } from './session.js'

/** The least bytes of a large kernel in 8 bits, which takes ONNX Runtime long to copy into another layout. */
const LARGE_KERNEL = 2 ** 23

/**
 * The most rows for large kernels, times the threads of a session: a session shares a product among its threads, and
 * our code has one. Measured (see docs/paging.md): an expert of XXL's shape takes 12, 16, 22 and 28 ms of processor
 * time for 1 to 4 rows, and 32 to 34 ms with ONNX Runtime.
 */
const MOST_ROWS_AND_THREADS = 4

/**
 * Whether our code is faster than ONNX Runtime for a product. With small kernels in 8 bits it is for one row: an expert
 * of base's shape takes 0.7 ms instead of 1.0, and two rows 1.1 instead of 1.0. Kernels in 4 bits would have to be
 * compiled first, which takes 14 to 40 ms, as long as 40 to 100 rows.
 */
function isFaster(eqn: Equation<'composite'>, threads: number): boolean {
  const [x, , values] = eqn.inputs
  const [rows] = x.aval.shape
  if (eqn.params.name !== 'integer_product') return true
  return bytesOfType(values.aval) < LARGE_KERNEL ? rows === 1 : rows * threads <= MOST_ROWS_AND_THREADS
}

/** Products with kernels in pages by generated code. */
export class PageProducts {
  readonly integers = new IntegerProducts()
  readonly blocks = new BlockProducts()
}

/** What a program of few rows does, in order. */
type Step =
  | { readonly kind: 'product'; readonly eqn: Equation<'composite'> }
  | { readonly kind: 'relu'; readonly eqn: Equation }
  | { readonly kind: 'rest'; readonly program: Program; readonly executable: Executable }

/**
 * An executable for a program of products of few rows with quantized kernels that are inputs, such as one expert of a
 * model. If the kernels lie in page arenas, they are multiplied where they are; `compile` makes executables of what is
 * between the products. Null if the program is another one, or has too many rows.
 */
export async function forFewRows(
  program: Program,
  products: PageProducts,
  sessions: SessionFactory,
  compile: (program: Program) => Promise<Executable>,
): Promise<FewRows | null> {
  const { inputs, equations, outputs } = program
  const given = new Set<Atom>(inputs)
  const found = equations.filter(e => isProduct(e, given))
  const areAll = equations.every(e => isProduct(e, given) || !(is(e, 'composite') && productNames.has(e.params.name)))
  if (found.length === 0 || !areAll || !found.every(e => isFaster(e, sessions.threads ?? 1))) return null
  if (!outputs.every(o => o instanceof Var && o.aval.dtype === 'float32')) return null
  const steps = await stepsOf(program, given, compile)
  if (!steps) return null
  // Intermediate results, in the memory of the last run.
  const memory = new Map<Atom, HostTensor>(
    steps.flatMap(step =>
      step.kind === 'rest' || outputs.includes(step.eqn.outputs[0])
        ? []
        : [[step.eqn.outputs[0], emptyTensor(step.eqn.outputs[0])] as const],
    ),
  )
  return {
    run: async buffers => {
      // Files that are being read meanwhile, for other experts, get on.
      await sessions.turn?.()
      const values = new Map<Atom, HostTensor>(memory)
      for (const [i, { tensor }] of (await inMemory(buffers)).entries()) values.set(inputs[i], tensor)
      const put = (a: Atom): Buffer => new HostBuffer(a.aval, values.get(a)!)
      for (const step of steps) {
        if (step.kind === 'rest') {
          const results = await step.executable.run(step.program.inputs.map(put))
          for (const [i, o] of step.program.outputs.entries()) values.set(o, await results[i].read())
          continue
        }
        const [output] = step.eqn.outputs
        if (!values.has(output)) values.set(output, emptyTensor(output))
        if (!compute(step, products, values)) return null
      }
      return outputs.map(put)
    },
    release: async () => {
      for (const step of steps) if (step.kind === 'rest') await step.executable.release()
    },
  }
}

const emptyTensor = ({ aval }: Atom): HostTensor => ({ ...aval, data: new Float32Array(sizeOf(aval.shape)) })

/** The steps of a program: products as early as possible, so that few parts are between them. Null if it has others. */
async function stepsOf(
  { inputs, equations, outputs }: Program,
  given: ReadonlySet<Atom>,
  compile: (program: Program) => Promise<Executable>,
): Promise<Step[] | null> {
  const known = new Set<Atom>(inputs)
  const isReady = (e: Equation): boolean => e.inputs.every(a => !(a instanceof Var) || known.has(a))
  const parts: Equation[][] = []
  let left = equations
  for (let areProducts = true; left.length > 0; areProducts = !areProducts) {
    const part: Equation[] = []
    for (const e of left) {
      if (isProduct(e, given) !== areProducts || !isReady(e)) continue
      part.push(e)
      e.outputs.forEach(o => known.add(o))
    }
    if (part.length === 0 && parts.at(-1)?.length === 0) return null
    parts.push(part)
    left = left.filter(e => !part.includes(e))
  }
  const steps: Step[] = []
  for (const [i, part] of parts.entries()) {
    const isOfProducts = i % 2 === 0
    if (isOfProducts) steps.push(...part.map(eqn => ({ kind: 'product', eqn: eqn as Equation<'composite'> }) as const))
    else if (part.every(isRelu)) steps.push(...part.map(eqn => ({ kind: 'relu', eqn }) as const))
    else {
      const later = new Set<Atom>([...outputs, ...parts.slice(i + 1).flatMap(p => p.flatMap(e => e.inputs))])
      const rest = restProgram(part, later)
      steps.push({ kind: 'rest', program: rest, executable: await compile(rest) })
    }
  }
  return steps
}

/** Equations as a program of their own. `later`: what is read after them. */
function restProgram(equations: readonly Equation[], later: ReadonlySet<Atom>): Program {
  const made = new Set<Atom>(equations.flatMap(e => e.outputs))
  const read = new Set(equations.flatMap(e => e.inputs).filter((a): a is Var => a instanceof Var && !made.has(a)))
  return new Program(
    [...read],
    [...equations],
    equations.flatMap(e => e.outputs).filter(o => later.has(o)),
  )
}

const isRelu = (eqn: Equation): boolean =>
  is(eqn, 'composite') &&
  eqn.params.name === 'relu' &&
  eqn.inputs[0] instanceof Var &&
  eqn.inputs[0].aval.dtype === 'float32'

const productNames: ReadonlySet<string> = new Set(['integer_product', 'quantized_product'])

function isProduct(eqn: Equation, inputs: ReadonlySet<Atom>): eqn is Equation<'composite'> {
  if (!is(eqn, 'composite')) return false
  const [x, scales, values] = eqn.inputs
  if (!(x instanceof Var && inputs.has(scales) && inputs.has(values))) return false
  const [rows, length] = x.aval.shape
  if (eqn.params.name === 'integer_product') return fitsProduct(rows, length, values.aval.shape[1])
  const [outputs, , bytes] = values.aval.shape
  return (
    eqn.params.name === 'quantized_product' &&
    eqn.params.attributes?.bits === 4 &&
    fitsBlockProduct(rows, length, outputs, bytes)
  )
}

/** Computes a step into its result's memory. False if a product cannot be computed. */
function compute(
  { kind, eqn }: Exclude<Step, { kind: 'rest' }>,
  { integers, blocks }: PageProducts,
  values: ReadonlyMap<Atom, HostTensor>,
): boolean {
  const [x, scales, kernel] = eqn.inputs.map(a => values.get(a)?.data) as [Float32Array, Float32Array, never]
  const result = values.get(eqn.outputs[0])!.data as Float32Array
  if (kind === 'product') {
    const multiply = eqn.params.name === 'integer_product' ? integers : blocks
    return multiply.multiply(x, eqn.inputs[0].aval.shape[0], kernel, scales, result)
  }
  for (let i = 0; i < x.length; i++) result[i] = Math.max(x[i], 0)
  return true
}
