import { SwitchyardError } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import { flatten, treeKey } from '../../base/pytree.js'
import { userLine } from '../../base/user-line.js'
import { formatAval } from '../program/aval.js'
import { axesInScope } from '../program/axis-names.js'
import type { Program } from '../program/program.js'
import type { NamedSharding, Partition } from '../program/sharding.js'
import { bind, isTracing } from '../program/trace.js'
import { checkFunction, readOptions } from './arguments.js'
import { defaultEngine } from './engine.js'
import { constrained, partitionFor, spreadShardings } from './mesh.js'
import type { PartialShardingTree } from './mesh.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree, TracedFunction } from './tracing.js'

export interface JitOptions {
  /**
   * Positions of donated arguments: the results may reuse their arrays' memory, so these arrays cannot be used again.
   */
  donate?: readonly number[]
  /** Positions of static arguments: any values, not arrays. The function is traced again for each different value. */
  static?: readonly number[]
  /**
   * How the arguments are laid out over a mesh of devices: a layout for all, or a list with a layout (or a tree of
   * layouts) for each argument. null: as the arrays are. Arrays that are laid out otherwise are moved.
   */
  inShardings?: PartialShardingTree
  /**
   * How the results are laid out. null: each device gets a copy of the whole result (JAX lets the partitioner choose).
   * On a mesh of processes, a result that is divided then stays so.
   */
  outShardings?: PartialShardingTree
  /** Called with each traced program, before it is compiled: to count its operations, for example. */
  onTrace?: (program: Program) => void
}

/** How many traced programs a jitted function keeps. The program of a large model takes some MB. */
const MAX_TRACES = 128

/**
 * Compiles a function. It is traced once for each structure, shape and dtype of its arguments; every call then runs the
 * compiled program. Called inside another traced function, it adds a `call` equation to that function's program.
 */
export function jit<A extends unknown[], R extends TensorTree>(
  f: (...args: A) => R,
  options: JitOptions = {},
): (...args: A) => R {
  const {
    donate = [],
    static: fixed = [],
    inShardings = null,
    outShardings = null,
    onTrace,
  } = readOptions('jit', options, ['donate', 'static', 'inShardings', 'outShardings', 'onTrace'])
  checkFunction(f, 'jit: the function')
  const cache = new Lru<string, Laid>(MAX_TRACES)
  const name = f.name || 'f'
  return (...args) => {
    const dynamic = args.map((arg, i) => (fixed.includes(i) ? null : (arg as TensorTree)))
    const { values, def } = flattenArgs(dynamic, 'jit')
    const types = values.map(v => formatAval(v.aval))
    const key = [axesInScope(), treeKey(def), ...types, ...fixed.map(i => staticKey(args[i]))].join(' ')
    let traced = cache.get(key)
    if (!traced) {
      const found = traceTree(
        (...arrays: TensorTree[]) => f(...(arrays.map((a, i) => (fixed.includes(i) ? args[i] : a)) as A)),
        def,
        values,
        'jit',
        name,
      )
      const inLayouts = spreadShardings(inShardings, def, 'jit: inShardings')
      const outLayouts = spreadShardings(outShardings, found.outputDef, 'jit: outShardings')
      const line = userLine()
      traced = {
        ...found,
        origin: line === undefined ? name : `${name} (${line})`,
        inLayouts,
        outLayouts,
        donated: dynamic.flatMap((arg, i) => flatten(arg).leaves.map(() => donate.includes(i))),
        partition: partitionFor(found.program, [...inLayouts, ...found.captured.map(() => null)], outLayouts),
      }
      onTrace?.(traced.program)
      // A program that captured a tracer of an enclosing function is valid only while that function is traced: not
      // cached.
      if (traced.captured.every(v => v.evaluator !== null)) cache.set(key, traced)
    }
    const { program, captured, outputDef, inLayouts, outLayouts, donated, partition, origin } = traced
    if (isTracing()) {
      const inputs = [...constrained(values, inLayouts), ...captured]
      return rebuild<R>(outputDef, constrained(bind('call', inputs, { name, program, remat: false }), outLayouts))
    }
    const inputs = [...values, ...captured]
    const engine = inputs.find(v => v.evaluator !== null)?.evaluator ?? defaultEngine()
    return rebuild<R>(outputDef, engine.run(program, inputs, donated, name, partition, origin))
  }
}

/** A traced function with what all its calls share: how its arguments and results are laid out over a mesh. */
interface Laid extends TracedFunction {
  readonly inLayouts: readonly (NamedSharding | null)[]
  readonly outLayouts: readonly (NamedSharding | null)[]
  /** The function's name, and the line of the user's program where it was called first, for errors. */
  readonly origin: string
  /** Which inputs are donated. */
  readonly donated: readonly boolean[]
  /** How a call outside of other functions is divided over the mesh; null: as its arrays are. */
  readonly partition: Partition | null
}

const identities = new WeakMap<object, number>()
let nextIdentity = 0

/**
 * A key of a static argument: equal for equal primitives, and for the same object or function. Strings are quoted,
 * because several keys are joined by spaces.
 */
function staticKey(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (Object.is(value, -0)) return 'number:-0'
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null)
    return `${typeof value}:${String(value)}`
  let id = identities.get(value)
  if (id === undefined) identities.set(value, (id = nextIdentity++))
  return `#${id}`
}

/**
 * The function itself, with a SwitchyardError when it is traced more than `max` times. Use it as
 * `jit(assertMaxTraces(f, 1))` to detect that a changing shape, or a new object as a static argument, compiles the
 * function again and again.
 */
export function assertMaxTraces<A extends unknown[], R>(f: (...args: A) => R, max: number): (...args: A) => R {
  let traces = 0
  const counted = (...args: A): R => {
    traces++
    if (traces > max)
      throw new SwitchyardError(
        `${f.name || 'a function'} was traced ${traces} times, and at most ${max} were allowed: its arguments' shapes, dtypes or static values keep changing`,
      )
    return f(...args)
  }
  return Object.defineProperty(counted, 'name', { value: f.name })
}
