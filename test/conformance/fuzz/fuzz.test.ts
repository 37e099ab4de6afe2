import { availableParallelism } from 'node:os'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { isFloat } from '../../../src/base/dtypes.js'
import { partOf } from '../../../src/base/host-tensor.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import { fromHost } from '../../../src/engine/api/np.js'
import { setBackend } from '../../../src/engine/api/engine.js'
import { Tensor } from '../../../src/engine/api/tensor.js'
import type { Backend, Buffer } from '../../../src/engine/compile/backend.js'
import { OnnxBackend } from '../../../src/engine/compile/onnx/backend.js'
import { nodeSessions } from '../../../src/engine/compile/onnx/node.js'
import { openXla } from '../../../src/engine/compile/xla/node.js'
import { generatorLimits } from '../../../src/engine/compile/wasm/generator-code.js'
import { interpret } from '../../../src/engine/compile/reference/interpret.js'
import { sameAval } from '../../../src/engine/program/aval.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Program } from '../../../src/engine/program/program.js'
import { traceClosed } from '../../../src/engine/program/trace.js'
import { jvpEval } from '../../../src/engine/transform/jvp.js'
import { vjpEval } from '../../../src/engine/transform/linearize.js'
import { batchProgram } from '../../../src/engine/transform/vmap.js'
import { xlaPlugin } from '../../xla-plugin.js'
import { tensor } from '../backend/case.js'
import type { Tolerance } from '../backend/compare.js'
import { aCase, compare as compareResults, drawn, inputOf, traced } from './cases.js'
import type { Case } from './cases.js'
import { fuzzBackend, fuzzRuns, fuzzSeed } from './settings.js'
import { build, differentiable, everyOperation } from './steps.js'

/**
 * Random programs over primitives, functions of np, loops, branches and composites, all dtypes, empty and long shapes,
 * scalars, NaN, infinities and ties: compiled, run step by step, batched, donated and differentiated, they agree with
 * the interpreter. FUZZ_RUNS sets the number of programs (then the seed is a new one each time), FUZZ_SEED the seed; a
 * failure prints the seed and the smallest program that fails. FUZZ_BACKEND=xla runs them on XLA.
 */
const RUNS = fuzzRuns(480)

const sessions = nodeSessions(Math.min(2, availableParallelism()))
const isXla = fuzzBackend === 'xla'
const backend: Backend = isXla ? await openXla({ plugin: xlaPlugin, cache: false }) : new OnnxBackend(sessions)
/** Generates random numbers in loops, however few they are. */
const generating = isXla ? backend : new OnnxBackend(sessions, { ...generatorLimits, minElements: 1 })
setBackend(backend)

const BATCH = 3

async function compiled(program: Program, inputs: readonly HostTensor[], on = backend): Promise<HostTensor[]> {
  const executable = await on.compile(program)
  const outputs = await executable.run(inputs.map(t => on.put(t)))
  return Promise.all(outputs.map(b => b.read()))
}

/** Throws if results on the backend differ from the interpreter's. */
function compare(
  actual: readonly HostTensor[],
  expected: readonly HostTensor[],
  tolerances: readonly Tolerance[],
  program: Program,
  inputs: readonly HostTensor[],
): void {
  compareResults(actual, expected, tolerances, program, inputs, isXla)
}

const near: Tolerance = { ulps: 64, absolute: 1e-4, eitherZero: true }

/** Runs a case in one way; throws if results differ. */
const ways: { readonly [name: string]: (c: Case) => Promise<void> } = {
  'compiled as one program': async c => {
    const inputs = c.inputs.map(i => inputOf(i, c.small))
    const { program, tolerances } = traced(c, inputs, everyOperation)
    compare(await compiled(program, inputs), interpret(program, inputs), tolerances, program, inputs)
  },

  'run operation by operation': async c => {
    const inputs = c.inputs.map(i => inputOf(i, c.small))
    const { program, tolerances } = traced(c, inputs, everyOperation)
    const values = inputs.map(x => fromHost(x).value)
    const { outputs } = build(everyOperation, values, c.steps, c.small, c.last)
    const results = await Promise.all(outputs.map(v => new Tensor(v).data()))
    compare(results, interpret(program, inputs), tolerances, program, inputs)
  },

  'batched by vmap': async c => {
    const examples = c.inputs.map(i => inputOf(i, c.small))
    const { program, tolerances } = traced(c, examples, everyOperation)
    const batched = c.inputs.map(i => i.batched)
    const inputs = c.inputs.map(i => inputOf(i, c.small, i.batched ? [BATCH] : []))
    const whole = program.outputs.map(() => true)
    const mapped = batchProgram(program, { size: BATCH }, batched, whole).program
    const results = await compiled(mapped, inputs)
    compare(results, interpret(mapped, inputs), tolerances, mapped, inputs)
    for (let n = 0; n < BATCH; n++) {
      const example = inputs.map((x, i) => (batched[i] ? partOf(x, n) : x))
      const parts = results.map(y => partOf(y, n))
      compare(parts, interpret(program, example), tolerances, program, example)
    }
  },

  'compiled with inputs that it draws': async c => {
    const words = c.inputs.flatMap(({ picks }) => [picks[0], picks.length].map(word => tensor('uint32', [word], [])))
    let tolerances: Tolerance[] = []
    const program = traceClosed(words, values => {
      const inputs = c.inputs.map((i, n) => drawn(i, c.small, values.slice(2 * n, 2 * n + 2)))
      const built = build(everyOperation, inputs, c.steps, c.small, c.last)
      tolerances = built.tolerances
      return built.outputs
    })
    compare(await compiled(program, words, generating), interpret(program, words), tolerances, program, words)
  },

  'compiled with donated inputs': async c => {
    const inputs = c.inputs.map(i => inputOf(i, c.small))
    // Each input of floats ends in an update, as a training step's state does: where the input is donated, a loop
    // writes it.
    const program = traceClosed(inputs, values => {
      const { outputs } = build(everyOperation, values, c.steps, c.small, c.last)
      const updates = values
        .filter(x => x.dtype === 'float32')
        .map(x => {
          const change = outputs.findLast(y => sameAval(x.aval, y.aval)) ?? x
          return ops.sub(ops.mul(x, 0.5), change)
        })
      return [...outputs, ...updates]
    })
    const expected = await compiled(program, inputs)
    // `batched` chooses the inputs that are donated.
    const executable = await backend.compile(
      program,
      c.inputs.map(i => i.batched),
    )
    const copy = await backend.compile(traceClosed(inputs, values => [...values]))
    const runs: Buffer[][] = []
    // The second run may take memory that the first was given, and may not write to the first one's results.
    for (let n = 0; n < 2; n++) {
      const copies = await copy.run(inputs.map(x => backend.put(x)))
      runs.push(await executable.run(copies))
      const kept = (_: unknown, i: number): boolean => !c.inputs[i].batched
      const after = await Promise.all(copies.filter(kept).map(b => b.read()))
      compare(
        after,
        inputs.filter(kept),
        inputs.map((): Tolerance => 'bits'),
        program,
        inputs,
      )
    }
    for (const outputs of runs) {
      const results = await Promise.all(outputs.map(b => b.read()))
      compare(
        results,
        expected,
        results.map(() => ({ ulps: 0, eitherZero: true })),
        program,
        inputs,
      )
    }
  },

  'differentiated forwards and backwards': async c => {
    const inputs = c.inputs.map(i => inputOf(i, true))
    const { program } = traced({ ...c, small: true }, inputs, differentiable)
    const active = inputs.map(x => isFloat(x.dtype))
    const wanted = program.outputs.map(o => isFloat(o.aval.dtype))
    if (!active.includes(true) || !wanted.includes(true)) return
    const tangents = c.inputs.filter((_, i) => active[i]).map(i => inputOf({ ...i, picks: [1, 2, 3] }, true))
    const forward = traceClosed([...inputs, ...tangents], values => {
      const rest = values.slice(inputs.length)
      const dots = active.map(isActive => (isActive ? rest.shift()! : null))
      const [primals, outDots] = jvpEval(program, values.slice(0, inputs.length), dots)
      return [...primals, ...outDots.filter(t => t !== null)]
    })
    const both = [...inputs, ...tangents]
    compare(
      await compiled(forward, both),
      interpret(forward, both),
      forward.outputs.map(() => near),
      forward,
      both,
    )
    const cotangents = program.outputs
      .filter((_, i) => wanted[i])
      .map(({ aval: { dtype, shape } }) => inputOf({ dtype, shape, picks: [1, 2, 3], batched: false }, true))
    const reverse = traceClosed([...inputs, ...cotangents], values => {
      const rest = values.slice(inputs.length)
      const { pullback } = vjpEval(program, values.slice(0, inputs.length), active, wanted)
      return pullback(wanted.map(isWanted => (isWanted ? rest.shift()! : null)))
    })
    const all = [...inputs, ...cotangents]
    compare(
      await compiled(reverse, all),
      interpret(reverse, all),
      reverse.outputs.map(() => near),
      reverse,
      all,
    )
  },
}

describe(`random programs (seed ${fuzzSeed}, ${RUNS} programs)`, () => {
  it.each(Object.entries(ways))('%s: the same results', (_, run) =>
    fc.assert(fc.asyncProperty(aCase, run), { numRuns: Math.ceil(RUNS / Object.keys(ways).length), seed: fuzzSeed }),
  )
})
