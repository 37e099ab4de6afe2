import { beforeAll, describe, expect, it } from 'vitest'
import type { DType } from '../../../src/base/dtypes.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import type { Backend } from '../../../src/engine/compile/backend.js'
import { interpret } from '../../../src/engine/compile/reference/interpret.js'
import type { PrimitiveName } from '../../../src/engine/program/primitives.js'
import type { Program } from '../../../src/engine/program/program.js'
import { batch, everyDType, hasSubnormals, withBroadcastOperands } from './case.js'
import type { Case, PrimitiveCases } from './case.js'
import { cases } from './cases.js'
import { difference } from './compare.js'
import type { Tolerance } from './compare.js'
import { donation } from './donation.js'
import { programs } from './programs.js'
import { randomPrograms } from './random.js'

export interface BackendConformance {
  create: () => Backend | Promise<Backend>
  /** How often compiled code has run so far. If given, every run must run compiled code, not the interpreter. */
  launches?: () => number
  /** Whether an optimizer's update must happen in the memory of the state that is donated to it. */
  updatesInPlace?: boolean
  /** Whether the backend takes subnormal numbers as zeros: see primitives.ts. */
  flushesSubnormals?: boolean
  /** Whether it is the interpreter: nothing is compared with its own results, only with those that cases state. */
  isReference?: boolean
  /** The dtypes of the cases that are run. Default: all. */
  dtypes?: readonly DType[]
  /**
   * Runs one of every `share` cases without a stated result, each dtype other ones, and that share of the random
   * programs: for a backend that compiles slowly. Default: 1.
   */
  share?: number
}

/** The tests that every Backend must pass. */
export function backendConformance({
  create,
  launches,
  updatesInPlace = false,
  flushesSubnormals = false,
  isReference = false,
  dtypes = everyDType,
  share = 1,
}: BackendConformance): void {
  let backend: Backend
  beforeAll(async () => {
    backend = await create()
  })

  async function run(
    program: Program,
    inputs: readonly HostTensor[],
    donated?: readonly boolean[],
  ): Promise<HostTensor[]> {
    const executable = await backend.compile(program, donated)
    const before = launches?.() ?? 0
    const outputs = await executable.run(inputs.map(t => backend.put(t)))
    const results = await Promise.all(outputs.map(b => b.read()))
    if (launches && program.outputs.length > 0) {
      expect(executable.stats.nodes + executable.stats.fusedLoops, 'size of the compiled program').toBeGreaterThan(0)
      expect(launches(), 'runs of compiled code').toBeGreaterThan(before)
    }
    return results
  }

  /**
   * A message for each failing case. All cases run as one program; if that fails, one by one to find the failing ones.
   */
  async function failures<P extends PrimitiveName>(
    primitive: P,
    list: readonly Case<P>[],
    tolerance: Tolerance,
  ): Promise<string[]> {
    const { program, inputs, counts } = batch(primitive, list)
    const reference = interpret(program, inputs)
    let results: HostTensor[]
    try {
      results = await run(program, inputs)
    } catch (error) {
      if (list.length === 1) return [`${list[0].name} ${doesNotRun} ${firstLine(error)}`]
      const found: string[] = []
      for (const c of list) found.push(...(await failures(primitive, [c], tolerance)))
      return found.some(f => f.includes(doesNotRun))
        ? found
        : [...found, `all together, though each alone does, ${doesNotRun} ${firstLine(error)}`]
    }
    let next = 0
    return list.flatMap((c, i) => {
      const first = next
      next += counts[i]
      return (c.expected ?? reference.slice(first, next)).flatMap((expected, k) => {
        const wrong = difference(results[first + k], expected, tolerance, flushesSubnormals)
        return wrong === undefined ? [] : [`${c.name}: output ${k} ${wrong}${c.expected ? ' (stated)' : ''}`]
      })
    })
  }

  const tested = (Object.keys(cases) as PrimitiveName[]).flatMap(primitive => {
    const of = cases[primitive as keyof typeof cases] as PrimitiveCases
    const hasResults = (dtype: DType): boolean => !isReference || of.cases(dtype).some(c => c.expected !== undefined)
    const chosen = of.dtypes.filter(dtype => dtypes.includes(dtype) && hasResults(dtype))
    return chosen.length > 0 ? [[primitive, { of, chosen }] as const] : []
  })
  describe.each(tested)('%s', (primitive, { of, chosen }) => {
    it.each(chosen)('%s', async (dtype: DType) => {
      const given = of.cases(dtype).filter(c => !isReference || c.expected !== undefined)
      const broadcast = isReference ? [] : given.map(withBroadcastOperands).filter(c => c !== undefined)
      const all = [...given, ...broadcast]
      const first = everyDType.indexOf(dtype)
      const list = all.filter((c, i) => c.expected !== undefined || (i + first) % share === 0)
      const wrong = await failures(
        primitive,
        flushesSubnormals ? list.filter(c => !c.operands.some(hasSubnormals)) : list,
        of.tolerance,
      )
      if (wrong.length > 0) throw new Error(`${wrong.length} of ${list.length} cases fail:\n${wrong.join('\n')}`)
    })
  })

  describe('programs', () => {
    it.each(programs)('$name', async ({ program, inputs }) => {
      const results = await run(program, inputs)
      interpret(program, inputs).forEach((expected, i) =>
        expect(difference(results[i], expected, 'bits'), `output ${i}`).toBeUndefined(),
      )
    })
  })

  if (!isReference) describe('random programs', () => randomPrograms(run, share))
  describe('donation', () => donation(() => backend, updatesInPlace))
}

const doesNotRun = 'does not run:'
const firstLine = (error: unknown): string =>
  String(error instanceof Error ? error.message : error)
    .split('\n')[0]
    .slice(0, 300)
