import { describe, expect, it } from 'vitest'
import { allocate, isFloat } from '../../src/base/dtypes.js'
import type { DType } from '../../src/base/dtypes.js'
import { sizeOf } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import * as lax from '../../src/engine/api/lax.js'
import * as np from '../../src/engine/api/np.js'
import { Tensor } from '../../src/engine/api/tensor.js'
import type { ProgramsAtSizes } from '../../src/engine/compile/backend.js'
import { OnnxBackend } from '../../src/engine/compile/onnx/backend.js'
import { nodeSessions } from '../../src/engine/compile/onnx/node.js'
import { interpret } from '../../src/engine/compile/reference/interpret.js'
import { outputTypesOf, sizedProgram } from '../../src/engine/compile/sized-program.js'
import { sameAval } from '../../src/engine/program/aval.js'
import type { PrimitiveName } from '../../src/engine/program/primitives.js'
import type { Program } from '../../src/engine/program/program.js'
import { bind, traceClosed } from '../../src/engine/program/trace.js'
import { batchProgram } from '../../src/engine/transform/vmap.js'
import { batch, sample } from './backend/case.js'
import type { Case, PrimitiveCases } from './backend/case.js'
import { cases } from './backend/cases.js'
import { difference } from './backend/compare.js'
import type { Tolerance } from './backend/compare.js'

// A function that is compiled once for all sizes meets sizes of 0 too. ONNX Runtime's own kernels of some operations
// end the process then, or give something.

const backend = new OnnxBackend(nodeSessions())

/** A type of each kind, as ONNX Runtime has them: bfloat16 is computed as float32, and booleans as bytes. */
const tested: readonly DType[] = ['float32', 'bfloat16', 'int32', 'uint32', 'bool']

/**
 * Compiles a function for all sizes, and compares its results for some of them with the interpreter's. Returns what is
 * wrong, or `each size` if it has no form for all sizes.
 */
async function problem(
  at: (size: number) => Program,
  inputsAt: (size: number) => HostTensor[],
  tolerance: Tolerance,
): Promise<string | undefined> {
  const examples: ProgramsAtSizes = [at(3), at(101), at(1009)]
  const compiled = await backend.compileWithWeights(
    examples,
    examples[0].inputs.map(() => null),
  )
  if (compiled.eachSizeBecause !== undefined) return 'each size'
  const outputTypes = outputTypesOf(examples)
  for (const size of [0, 2]) {
    const sizes = sizedProgram(at(size))
    const program = sizes.program()
    if (outputTypes && !outputTypes(sizes.inputs)?.every((type, i) => sameAval(type, sizes.outputs[i])))
      return `of size ${size}: results of other types`
    const inputs = inputsAt(size)
    const executable = await compiled.at(sizes)
    try {
      const outputs = await executable.run(inputs.map(x => backend.put(x)))
      const results = await Promise.all(outputs.map(b => b.read()))
      const wrong = interpret(program, inputs).flatMap((e, i) => difference(results[i], e, tolerance) ?? [])
      if (wrong.length > 0) return `of size ${size}: ${wrong[0]}`
    } catch (error) {
      return `of size ${size}: ${String(error)}`
    }
  }
  await compiled.release()
  return undefined
}

/** An input stacked `size` times along a new first axis. */
function stacked({ dtype, shape, data }: HostTensor, size: number): HostTensor {
  const all = allocate(dtype, size * sizeOf(shape))
  for (let i = 0; i < size; i++) (all as Uint8Array).set(data as Uint8Array, i * sizeOf(shape))
  return { dtype, shape: [size, ...shape], data: all }
}

/** Names of cases whose batches have no form for all sizes, so that each size has a graph of its own. */
const ofEachSize: { readonly [P in PrimitiveName]?: RegExp } = {
  concatenate: /broadcast to nothing/,
  dynamicUpdateSlice: /^(?!\[0\] into|\[5\] into|\[\] into|literal starts)/,
  pad: /^\[(2,)?0\] by/,
  scan: /./,
  scatter: /^(?!no rows)/,
  scatterAdd: /^(?!no rows)/,
  while: /./,
}

/** Whether a batch of a case should have one form for all sizes. Results of no elements never have. */
const isOfAllSizes = <P extends PrimitiveName>(primitive: P, one: Case<P>): boolean =>
  !ofEachSize[primitive]?.test(one.name) &&
  batch(primitive, [one]).program.outputs.every(({ aval }) => sizeOf(aval.shape) > 0)

/** What is wrong with cases of a primitive that are batched to any size, by their names. */
async function failures<P extends PrimitiveName>(
  primitive: P,
  list: readonly Case<P>[],
  tolerance: Tolerance,
): Promise<string[]> {
  const { program, inputs } = batch(primitive, list)
  const [batched, outputs] = [inputs, program.outputs].map(values => values.map(() => true))
  const found = await problem(
    size => batchProgram(program, { size }, batched, outputs).program,
    size => inputs.map(x => stacked(x, size)),
    tolerance,
  )
  if (found === undefined) return []
  if (list.length === 1) return [`${list[0].name}: ${found}`]
  const half = Math.ceil(list.length / 2)
  const parts = [list.slice(0, half), list.slice(half)]
  return (await Promise.all(parts.map(part => failures(primitive, part, tolerance)))).flat()
}

describe.each(Object.keys(cases) as PrimitiveName[])('a batch of %s', primitive => {
  const of = cases[primitive as keyof typeof cases] as PrimitiveCases
  it.each(of.dtypes.filter(dtype => tested.includes(dtype)))('%s', async dtype => {
    const list = of.cases(dtype).filter(one => batch(primitive, [one]).inputs.length > 0)
    const together = list.filter(one => isOfAllSizes(primitive, one))
    if (together.length > 0) expect(await failures(primitive, together, of.tolerance)).toEqual([])
    for (const one of list.filter(one => !together.includes(one)))
      expect(await failures(primitive, [one], of.tolerance)).toEqual([`${one.name}: each size`])
  })
})

/** Rows 0 of x, or zeros if it has none. */
const filled = (x: Tensor, count: number): Tensor =>
  new Tensor(
    bind('gather', [x.value, np.zeros([count, 1], 'int32').value], { axes: [0], batchDims: 0, mode: 'fill' })[0],
  )

/** Functions of x [size, 4] along its first axis. */
const alongSize: { readonly [name: string]: (x: Tensor) => Tensor } = {
  reduceMax: x => new Tensor(bind('reduceMax', [x.value], { axes: [0] })[0]),
  reduceMin: x => new Tensor(bind('reduceMin', [x.value], { axes: [0] })[0]),
  sum: x => np.sum(x, { axis: 0 }),
  'sum of squares': x => np.sum(np.multiply(x, x)),
  prod: x => np.prod(x, { axis: 0 }),
  all: x => np.all(np.greater(x, 0), { axis: 0 }),
  any: x => np.any(np.greater(x, 0), { axis: 0 }),
  cumsum: x => np.cumsum(x, 0),
  sort: x => np.sort(x, 0),
  argsort: x => np.argsort(x, 0),
  argmax: x => np.argmax(x, 1),
  argmin: x => np.argmin(x, 1),
  topK: x => lax.topK(x, 2)[0],
  'matmul of columns': x => np.matmul(np.transpose(x, [1, 0]), x),
  'matmul of rows': x => np.matmul(x, np.transpose(x, [1, 0])),
  'batched matmul': x => np.matmul(np.expandDims(x, 1), np.expandDims(x, 2)),
  'gather of many': x => filled(x, 3000),
  'gather of one': x => filled(x, 1),
  'scatter-add': x => {
    const updates = np.astype(np.ones([2, 4]), x.dtype)
    const params = { axes: [0], batchDims: 0, mode: 'drop' } as const
    return new Tensor(bind('scatterAdd', [x.value, np.zeros([2, 1], 'int32').value, updates.value], params)[0])
  },
  'take no rows': x => np.take(np.ones([5, 2]), np.astype(x, 'int32'), 0),
  concatenate: x => np.concatenate([x, x], 0),
  flip: x => np.flip(x, 0),
  pad: x =>
    np.pad(x, [
      [1, 2],
      [0, 1],
    ]),
  where: x => np.where(np.greater(x, 0), x, 1),
  oneHot: x => np.oneHot(np.astype(np.sum(x, { axis: 1 }), 'int32'), 3),
  arange: x => np.add(np.arange(x.shape[0]), 1),
}

describe.each(Object.keys(alongSize))('%s of no rows', name => {
  it.each(['float32', 'int32', 'bool'] as const)('%s', async dtype => {
    const inputAt = (size: number): HostTensor => sample(dtype, [size, 4])
    const at = (size: number): Program => traceClosed([inputAt(size)], ([x]) => [alongSize[name](new Tensor(x)).value])
    const found = await problem(at, size => [inputAt(size)], { ulps: 4 })
    // A product of integers is written as one multiplication for each halving.
    expect(found).toBe(name === 'prod' && !isFloat(dtype) ? 'each size' : undefined)
  })
})
