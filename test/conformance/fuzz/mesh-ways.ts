/** Random programs on a mesh, run on its devices in several ways, and compared with one device's results. */
import fc from 'fast-check'
import { isFloat } from '../../../src/base/dtypes.js'
import { partOf, toNumbers } from '../../../src/base/host-tensor.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import { partAt } from '../../../src/engine/compile/parts.js'
import { interpret } from '../../../src/engine/compile/reference/interpret.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Program } from '../../../src/engine/program/program.js'
import { NamedSharding, shardShape, shardStarts } from '../../../src/engine/program/sharding.js'
import type { Mesh, Partition, PartitionSpec } from '../../../src/engine/program/sharding.js'
import { traceClosed } from '../../../src/engine/program/trace.js'
import { onOneDevice } from '../../../src/engine/transform/expand-shard-map.js'
import { jvpEval } from '../../../src/engine/transform/jvp.js'
import { vjpEval } from '../../../src/engine/transform/linearize.js'
import { batchProgram } from '../../../src/engine/transform/vmap.js'
import { tensor } from '../backend/case.js'
import type { Tolerance } from '../backend/compare.js'
import { caseOf, compare, inputOf, stepOf, traced } from './cases.js'
import type { Case as CaseOfOneDevice, Input } from './cases.js'
import { collectivesOn, shardMapOn, specsOf } from './mesh-steps.js'
import { differentiable, everyOperation } from './steps.js'
import type { Table } from './steps.js'

/** The devices that run a program. */
export interface Devices {
  /**
   * Whether XLA computes: then a subnormal number may count as zero, and zero times NaN or infinity may be zero, where
   * the zero is a bool that was converted.
   */
  readonly isXla: boolean
  /**
   * Runs a program on arrays that are laid out as `layouts` say. Returns, for each result, its spec and the parts that
   * devices have, by the devices' numbers. Donates the inputs that `donated` says.
   */
  run(
    program: Program,
    partition: Partition,
    inputs: readonly HostTensor[],
    layouts: readonly (PartitionSpec | null)[],
    donated: readonly boolean[],
  ): Promise<Result[]>
}

export interface Result {
  readonly spec: PartitionSpec
  readonly parts: ReadonlyMap<number, HostTensor>
}

interface Layouts {
  /** Chooses how an input is put on the devices, how the program takes it, and how a result is asked for. */
  layouts: readonly number[]
}
export type Case = CaseOfOneDevice & Layouts

const shapes = [[], [1], [4], [8], [2, 4], [4, 2], [4, 4], [8, 1], [0, 4], [4, 0], [3, 4], [3], [2, 2, 4], [16]]

export const meshCase: fc.Arbitrary<Case> = fc
  .tuple(
    caseOf(fc.constantFrom(...shapes), stepOf(stepOf(stepOf(null)), 6), 5),
    fc.array(fc.nat(999), { minLength: 3, maxLength: 7 }),
  )
  .map(([c, layouts]) => ({ ...c, layouts }))

/** Of an equal choice, programs are on the mesh half of the time. */
const onMesh = (mesh: Mesh, table: Table): Table => {
  const inside = { ...table, collective: collectivesOn(mesh) }
  const mapped = Array.from({ length: 20 }, () => shardMapOn(mesh, inside))
  return { flat: table.flat, structures: [...table.structures, ...mapped] }
}

const near: Tolerance = { ulps: 64, absolute: 1e-4, eitherZero: true }
/** Backends' exp and log differ in the last of 16 bits, which derivatives multiply and add up. */
const nearIn16Bits: Tolerance = { ulps: 64, absolute: 0.05, eitherZero: true }

/** Runs a case in one way; throws if results differ from those of one device. */
export type Way = (c: Case, mesh: Mesh, devices: Devices) => Promise<void>

/** Runs a program on devices, and compares each device's parts. The expected results are the interpreter's. */
async function check(
  { layouts, inputs: types }: Case,
  mesh: Mesh,
  devices: Devices,
  program: Program,
  inputs: readonly HostTensor[],
  tolerances: readonly Tolerance[],
  options: { donates?: boolean; expected?: readonly HostTensor[] } = {},
): Promise<void> {
  if (program.outputs.length === 0) return
  const choose = (n: number, i: number, shape: readonly number[]): PartitionSpec | null => {
    const specs = [null, ...specsOf(mesh, shape)]
    return specs[(layouts[n % layouts.length] + i) % specs.length]
  }
  const taken = program.inputs.map((v, i) => choose(0, i, v.aval.shape))
  const put = program.inputs.map((v, i) => (layouts[1] % 2 ? taken[i] : choose(2, i, v.aval.shape)))
  const outputs = program.outputs.map((o, i) => (layouts[1] % 3 ? choose(3, i, o.aval.shape) : null))
  const donated = inputs.map((_, i) => options.donates === true && types[i].batched)
  const results = await devices.run(program, { mesh, inputs: taken, outputs }, inputs, put, donated)
  const expected = options.expected ?? interpret(onOneDevice(program), inputs)
  for (const [i, { spec, parts }] of results.entries()) {
    const sharding = new NamedSharding(mesh, spec)
    const { shape } = expected[i]
    for (const [device, part] of parts) {
      const wanted = partAt(expected[i], shardStarts(shape, sharding)[device], shardShape(shape, sharding))
      try {
        compare([part], [wanted], [tolerances[i]], program, inputs, devices.isXla)
      } catch (error) {
        throw new Error(
          `device ${device} of ${mesh}, result ${i} of ${results.length} laid out as ${spec}, inputs as ${put}, ` +
            `taken as ${taken}: ${(error as Error).message}`,
          { cause: error },
        )
      }
    }
  }
}

const BATCH = 3

/** The same values, with 1 in place of NaN and infinities. */
const finite = (x: HostTensor): HostTensor =>
  isFloat(x.dtype)
    ? tensor(
        x.dtype,
        toNumbers(x).map(v => (Number.isFinite(v) ? v : 1)),
        x.shape,
      )
    : x

export const ways: { readonly [name: string]: Way } = {
  'compiled as one program': async (c, mesh, devices) => {
    const inputs = c.inputs.map(i => inputOf(i, c.small))
    const { program, tolerances } = traced(c, inputs, onMesh(mesh, everyOperation))
    await check(c, mesh, devices, program, inputs, tolerances)
  },

  'batched by vmap': async (c, mesh, devices) => {
    const examples = c.inputs.map(i => inputOf(i, c.small))
    const { program, tolerances } = traced(c, examples, onMesh(mesh, everyOperation))
    const batched = c.inputs.map(i => i.batched)
    const inputs = c.inputs.map(i => inputOf(i, c.small, i.batched ? [BATCH] : []))
    const whole = program.outputs.map(() => true)
    const mapped = batchProgram(program, { size: BATCH }, batched, whole).program
    const one = onOneDevice(program)
    const each = Array.from({ length: BATCH }, (_, n) =>
      interpret(
        one,
        inputs.map((x, i) => (batched[i] ? partOf(x, n) : x)),
      ),
    )
    const results = interpret(onOneDevice(mapped), inputs)
    for (let n = 0; n < BATCH; n++)
      compare(
        results.map(y => partOf(y, n)),
        each[n],
        tolerances,
        mapped,
        inputs,
      )
    await check(c, mesh, devices, mapped, inputs, tolerances, { expected: results })
  },

  'compiled with donated inputs': async (c, mesh, devices) => {
    const inputs = c.inputs.map(i => inputOf(i, c.small))
    const { program, tolerances } = traced(c, inputs, onMesh(mesh, everyOperation))
    await check(c, mesh, devices, program, inputs, tolerances, { donates: true })
  },

  'differentiated forwards and backwards': async (c, mesh, devices) => {
    const inputFor = (i: Input): HostTensor => (devices.isXla ? finite(inputOf(i, true)) : inputOf(i, true))
    const inputs = c.inputs.map(inputFor)
    const { program } = traced({ ...c, small: true }, inputs, onMesh(mesh, differentiable))
    const active = inputs.map(x => isFloat(x.dtype))
    const wanted = program.outputs.map(o => isFloat(o.aval.dtype))
    if (!active.includes(true) || !wanted.includes(true)) return
    const tangents = c.inputs.filter((_, i) => active[i]).map(i => inputFor({ ...i, picks: [1, 2, 3] }))
    const forward = (of: Program): Program =>
      traceClosed([...inputs, ...tangents], values => {
        const rest = values.slice(inputs.length)
        const dots = active.map(isActive => (isActive ? rest.shift()! : null))
        const [primals, outDots] = jvpEval(of, values.slice(0, inputs.length), dots)
        return [...primals, ...primals.flatMap((y, i) => (wanted[i] ? (outDots[i] ?? ops.zerosLike(y)) : []))]
      })
    const both = [...inputs, ...tangents]
    const jvp = forward(program)
    const tolerances = (of: Program): Tolerance[] =>
      of.outputs.map(o => (isFloat(o.aval.dtype) && o.aval.dtype !== 'float32' ? nearIn16Bits : near))
    await check(c, mesh, devices, jvp, both, tolerances(jvp))
    const cotangents = program.outputs
      .filter((_, i) => wanted[i])
      .map(({ aval: { dtype, shape } }) => inputFor({ dtype, shape, picks: [1, 2, 3], batched: false }))
    const backward = (of: Program): Program =>
      traceClosed([...inputs, ...cotangents], values => {
        const rest = values.slice(inputs.length)
        const { pullback } = vjpEval(of, values.slice(0, inputs.length), active, wanted)
        return pullback(wanted.map(isWanted => (isWanted ? rest.shift()! : null)))
      })
    const all = [...inputs, ...cotangents]
    const vjp = backward(program)
    await check(c, mesh, devices, vjp, all, tolerances(vjp))
    // The derivatives of what one device computes, but for functions with a derivative of their own choice, which
    // `onOneDevice` drops. Zero times infinity differs, because devices divide cotangents, and so do sums of sums in 16
    // bits.
    if (/customVjp|f16\[/.test(String(program))) return
    const one = onOneDevice(program)
    for (const [derived, way, given] of [
      [jvp, forward, both.map(finite)],
      [vjp, backward, all.map(finite)],
    ] as const) {
      const expected = interpret(way(one), given)
      compare(interpret(onOneDevice(derived), given), expected, tolerances(derived), derived, given)
    }
  },
}
