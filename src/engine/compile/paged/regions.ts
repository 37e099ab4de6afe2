import type { DType } from '../../../base/dtypes.js'
import { isElementwise } from '../../program/primitives.js'
import { is, Var } from '../../program/program.js'
import type { Atom, Equation, Program } from '../../program/program.js'
import type { Buffer } from '../backend.js'
import { PagedBuffer } from './paged-buffer.js'
import type { Pages } from './pages.js'

/** A value of a program that is paged: an input, or an input converted to other dtypes, one after the other. */
export interface PagedValue {
  readonly buffer: PagedBuffer
  readonly dtypes: readonly DType[]
}

/**
 * Equations that run page by page, each on the rows of one group: composites of groups of rows (`GroupRule`) that read
 * arrays of the same pages with the same group sizes, and the equations between them.
 */
export interface Region {
  readonly pages: Pages
  readonly groupSizes: Atom
  /** In the program's order. All results have the same rows. */
  readonly equations: readonly Equation[]
  /** Equations that fill arrays [rows, ...] with scalars, for the region alone. */
  readonly fills: readonly Equation[]
  /** What the equations read from outside of the region: arrays [rows, ...], ... */
  readonly rows: readonly Var[]
  /** ... scalars, ... */
  readonly scalars: readonly Var[]
  /** ... arrays [groups, ...] in memory, ... */
  readonly arrays: readonly Var[]
  /** ... and arrays [groups, ...] in pages. */
  readonly paged: readonly (readonly [Var, PagedValue])[]
  /**
   * Where the rows are from, if one gather takes all of them from an array along its first axis: the number of each
   * row there.
   */
  readonly sources: Atom | undefined
  /** The results that are read outside of the region. */
  readonly outputs: readonly Var[]
}

/** What a region reads from outside that is in memory. */
export const readInMemory = ({ rows, scalars, arrays, groupSizes, sources }: Region): Atom[] => [
  ...rows,
  ...scalars,
  ...arrays,
  groupSizes,
  ...(sources ? [sources] : []),
]

/** A composite of groups of rows: its operands are rows, arrays [groups, ...], and group sizes. */
export const isGrouped = (eqn: Equation): eqn is Equation<'composite'> =>
  is(eqn, 'composite') && eqn.params.ofGroup !== undefined

/**
 * The paged values of a program. `buffers` has the buffers of its inputs, as far as they are known. Throws a
 * SwitchyardError if an equation needs all of a paged array. `name`: the function's, for errors.
 */
export function pagedValues(
  { inputs, equations, outputs }: Program,
  buffers: readonly (Buffer | null)[],
  name: string,
): Map<Atom, PagedValue> {
  const paged = new Map<Atom, PagedValue>()
  inputs.forEach((v, i) => {
    const buffer = buffers[i]
    if (buffer instanceof PagedBuffer) paged.set(v, { buffer, dtypes: [v.aval.dtype] })
  })
  const refuse = (a: Atom | undefined, what: string): void => {
    const value = a && paged.get(a)
    if (value) throw value.buffer.refusal(what)
  }
  for (const eqn of equations) {
    const operands = eqn.inputs.filter(a => paged.has(a))
    if (operands.length === 0) continue
    const value = paged.get(operands[0])!
    if (is(eqn, 'convertElementType'))
      paged.set(eqn.outputs[0], { ...value, dtypes: [...value.dtypes, eqn.params.dtype] })
    else {
      const what = `${is(eqn, 'composite') ? eqn.params.name : eqn.primitive} in ${name}`
      if (!isGrouped(eqn)) refuse(operands[0], what)
      for (const a of [eqn.inputs[0], eqn.inputs.at(-1)]) refuse(a, what)
    }
  }
  for (const o of outputs) refuse(o, `the result of ${name}`)
  return paged
}

/** The regions of a program. If not all that is between the composites of a region is element-wise, each is its own. */
export function regionsOf(program: Program, paged: ReadonlyMap<Atom, PagedValue>): Region[] {
  const makers = new Map<Atom, Equation>(program.equations.flatMap(e => e.outputs.map(o => [o, e] as const)))
  const together = new Map<Atom, Map<Pages, Equation[]>>()
  for (const eqn of program.equations) {
    const pages = isGrouped(eqn) && pagesOf(eqn, paged)
    if (!pages) continue
    const sizes = groupSizesOf(eqn)
    if (!together.has(sizes)) together.set(sizes, new Map())
    const ofSizes = together.get(sizes)!
    ofSizes.set(pages, [...(ofSizes.get(pages) ?? []), eqn])
  }
  return [...together.values()].flatMap(ofSizes =>
    [...ofSizes.values()].flatMap(products => {
      const between = equationsBetween(program, products)
      const isRegion = between.every(
        e => isRowwise(e) || (isGrouped(e) && groupSizesOf(e) === groupSizesOf(products[0])),
      )
      return (isRegion ? [products] : products.map(p => [p])).map(list =>
        makeRegion(program, new Set([...list, ...(isRegion ? between : [])]), makers, paged),
      )
    }),
  )
}

const groupSizesOf = (eqn: Equation): Atom => eqn.inputs.at(-1)!

/** The pages that a composite reads, if it reads any. */
function pagesOf(eqn: Equation, paged: ReadonlyMap<Atom, PagedValue>): Pages | undefined {
  const all = new Set(eqn.inputs.flatMap(a => paged.get(a)?.buffer.pages ?? []))
  if (all.size > 1) throw new Error('the arrays of a group are in different pages')
  return [...all][0]
}

/** Whether each row of the results depends on that row of the operands alone, whatever the number of rows. */
const isRowwise = (eqn: Equation): boolean =>
  isElementwise(eqn.primitive) ||
  (is(eqn, 'composite') && eqn.params.program.equations.every(e => isRowwise(e) || isFill(e)))

/** Whether an equation fills an array with a scalar. */
const isFill = (eqn: Equation): boolean => is(eqn, 'broadcastInDim') && eqn.inputs[0].aval.shape.length === 0

/** The equations that depend on results of `ends` and on which others of `ends` depend, without `ends`. */
function equationsBetween({ equations }: Program, ends: readonly Equation[]): Equation[] {
  const isEnd = new Set(ends)
  const after = new Set<Atom>()
  const before = new Set<Atom>()
  for (const e of equations) if (isEnd.has(e) || e.inputs.some(a => after.has(a))) e.outputs.forEach(o => after.add(o))
  for (const e of equations.toReversed())
    if (isEnd.has(e) || e.outputs.some(o => before.has(o))) e.inputs.forEach(a => before.add(a))
  return equations.filter(e => !isEnd.has(e) && e.outputs.some(o => after.has(o) && before.has(o)))
}

function makeRegion(
  program: Program,
  members: ReadonlySet<Equation>,
  makers: ReadonlyMap<Atom, Equation>,
  paged: ReadonlyMap<Atom, PagedValue>,
): Region {
  const equations = program.equations.filter(e => members.has(e))
  const made = new Set<Atom>(equations.flatMap(e => e.outputs))
  const fills = new Set<Equation>()
  const [rows, scalars, arrays] = [new Set<Var>(), new Set<Var>(), new Set<Var>()]
  const pagedInputs = new Map<Var, PagedValue>()
  const visit = (a: Atom, isArray: boolean): void => {
    if (!(a instanceof Var) || made.has(a)) return
    const maker = makers.get(a)
    const value = paged.get(a)
    if (value) pagedInputs.set(a, value)
    else if (isArray) arrays.add(a)
    else if (a.aval.shape.length === 0) scalars.add(a)
    else if (maker && isFill(maker)) {
      fills.add(maker)
      visit(maker.inputs[0], false)
    } else rows.add(a)
  }
  for (const eqn of equations) {
    const operands = isGrouped(eqn) ? eqn.inputs.slice(0, -1) : eqn.inputs
    operands.forEach((a, i) => visit(a, isGrouped(eqn) && i > 0))
  }
  const readOutside = new Set<Atom>([
    ...program.equations.filter(e => !members.has(e)).flatMap(e => e.inputs),
    ...program.outputs,
  ])
  return {
    pages: [...pagedInputs.values()][0].buffer.pages,
    groupSizes: groupSizesOf(equations.find(isGrouped)!),
    equations,
    fills: [...fills],
    rows: [...rows],
    scalars: [...scalars],
    arrays: [...arrays],
    paged: [...pagedInputs],
    sources: sourcesOf([...rows], makers),
    outputs: equations.flatMap(e => e.outputs).filter(o => readOutside.has(o)),
  }
}

/** The index of the gather that makes all rows, if there is one. */
function sourcesOf(rows: readonly Var[], makers: ReadonlyMap<Atom, Equation>): Atom | undefined {
  const made = new Set(rows.map(v => makers.get(v)))
  const [maker] = made
  return made.size === 1 && maker ? gatherIndex(maker) : undefined
}

/** The index of an equation that gathers rows along the first axis of an array: a gather, or a composite of one. */
function gatherIndex(eqn: Equation): Atom | undefined {
  if (is(eqn, 'gather')) {
    const { axes, batchDims } = eqn.params
    return axes.length === 1 && axes[0] === 0 && batchDims === 0 ? eqn.inputs[1] : undefined
  }
  if (!is(eqn, 'composite')) return undefined
  const { inputs, equations, outputs } = eqn.params.program
  const makers = new Map<Atom, Equation>(equations.flatMap(e => e.outputs.map(o => [o, e] as const)))
  const maker = makers.get(outputs[0])
  let index = maker && gatherIndex(maker)
  for (let from = index && makers.get(index); from && is(from, 'reshape'); from = makers.get(index))
    index = from.inputs[0]
  return inputs.includes(index as Var) ? eqn.inputs[inputs.indexOf(index as Var)] : undefined
}
