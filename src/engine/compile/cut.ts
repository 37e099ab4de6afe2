import { Lit, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import type { Buffer } from './backend.js'

/** Equations of a program that run on the host, between segments. */
export interface Region {
  readonly equations: readonly Equation[]
  /** The results that are read outside of the region. */
  readonly outputs: readonly Var[]
}

/** A part of a program that runs as one, and the regions that run after it. */
export interface Segment<R extends Region> {
  readonly program: Program
  /** The inputs whose memory this segment's results may take: nothing reads them later. */
  readonly donated: readonly boolean[]
  readonly regions: readonly R[]
}

/** A program cut at its regions. */
export interface Cut<R extends Region> {
  readonly inputs: readonly Var[]
  readonly segments: readonly Segment<R>[]
  /** Where each of the program's outputs is computed: the number of a segment, and of its output. */
  readonly outputs: readonly (readonly [segment: number, output: number])[]
}

export interface CutOptions<R extends Region> {
  /** The program's inputs that are donated. */
  readonly donated: ReadonlySet<Atom>
  /** What a region reads from outside. */
  readonly reads: (region: R) => readonly Atom[]
  /** The program's inputs that hold the same data in each run. */
  readonly weights?: ReadonlySet<Atom>
  /** Values that are not in memory. Only regions read them. */
  readonly absent?: { has(value: Atom): boolean }
}

const nothing: ReadonlySet<Atom> = new Set()

/**
 * Cuts a program at its regions. Each equation goes to the earliest segment that its operands allow. Segments hand on
 * what later ones read, except for what depends on weights alone, and broadcast, reshaped and transposed arrays: those
 * are computed where they are read.
 */
export function cutAtRegions<R extends Region>(
  program: Program,
  regions: readonly R[],
  { donated, reads, weights = nothing, absent = nothing }: CutOptions<R>,
): Cut<R> {
  const { equations } = program
  const regionOf = new Map(regions.flatMap(r => r.equations.map(e => [e, r] as const)))
  const levels = levelsOf(program, regionOf)
  const levelOf = (a: Atom): number => levels.get(a) ?? 0
  const levelOfRegion = (r: R): number => levelOf(r.outputs[0]) - 1
  const makers = new Map<Atom, Equation>(
    equations
      .filter(e => !regionOf.has(e) && !e.inputs.some(a => absent.has(a)))
      .flatMap(e => e.outputs.map(o => [o, e] as const)),
  )
  const isRepeated = repeatedEquations(equations, weights)

  /** What each segment computes for later segments, for regions and for the caller. */
  const demanded = Array.from({ length: Math.max(...levels.values(), 0) + 1 }, () => new Set<Atom>())
  const last = demanded.length - 1
  const demand = (a: Atom, reader: number): void => {
    const maker = makers.get(a)
    if (maker) demanded[isRepeated.has(maker) ? reader : levelOf(a)].add(a)
  }
  for (const r of regions) for (const a of reads(r)) demand(a, levelOfRegion(r))
  const outputs = program.outputs.map(a => {
    const isOwn = makers.has(a) && !isRepeated.has(makers.get(a)!)
    const segment = isOwn ? levelOf(a) : last
    demanded[segment].add(a)
    return [segment, a] as const
  })

  const parts: { equations: Set<Equation>; inputs: Set<Var> }[] = []
  for (let level = last; level >= 0; level--) {
    const part = { equations: new Set<Equation>(), inputs: new Set<Var>() }
    const open = [...demanded[level]]
    for (let a = open.pop(); a !== undefined; a = open.pop()) {
      if (a instanceof Lit) continue
      const maker = makers.get(a)
      if (maker && (isRepeated.has(maker) || levelOf(a) === level)) {
        if (!part.equations.has(maker)) open.push(...maker.inputs)
        part.equations.add(maker)
      } else {
        part.inputs.add(a)
        demand(a, level)
      }
    }
    parts[level] = part
  }

  const order = new Map<Atom, number>(
    [...program.inputs, ...equations.flatMap(e => e.outputs)].map((v, i) => [v, i] as const),
  )
  const lastReader = new Map<Atom, number>()
  parts.forEach((part, level) => part.inputs.forEach(v => lastReader.set(v, level)))
  // A region runs after the segment of its level.
  for (const r of regions)
    for (const a of reads(r)) lastReader.set(a, Math.max(lastReader.get(a) ?? 0, levelOfRegion(r) + 0.5))
  const isInput = new Set<Atom>(program.inputs)
  const isReturned = new Set<Atom>(program.outputs)

  const returned = demanded.map(set => [...set])
  const positions = outputs.map(([segment, a], i) => {
    const isSecond = outputs.slice(0, i).some(([, other]) => other === a)
    return [segment, isSecond ? returned[segment].push(a) - 1 : returned[segment].indexOf(a)] as const
  })
  const segments = parts.map((part, level) => {
    const inputs = [...part.inputs].sort((a, b) => order.get(a)! - order.get(b)!)
    return {
      program: new Program(
        inputs,
        equations.filter(e => part.equations.has(e)),
        returned[level],
      ),
      donated: inputs.map(v => lastReader.get(v) === level && (isInput.has(v) ? donated.has(v) : !isReturned.has(v))),
      regions: regions.filter(r => levelOfRegion(r) === level),
    }
  })
  return { inputs: program.inputs, segments, outputs: positions }
}

const movements: readonly string[] = ['broadcastInDim', 'reshape', 'transpose']

/**
 * The number of the segment that computes each value: the number of regions that run one after the other before it.
 * What depends on the program's inputs alone is computed where it is first read.
 */
function levelsOf({ equations }: Program, regionOf: ReadonlyMap<Equation, Region>): Map<Atom, number> {
  const levels = new Map<Atom, number>()
  const ofRegion = new Map<Region, number>([...regionOf.values()].map(r => [r, 0]))
  const made = new Map<Atom, Region>([...regionOf].flatMap(([e, r]) => e.outputs.map(o => [o, r] as const)))
  const highest = (atoms: readonly Atom[]): number => Math.max(0, ...atoms.map(a => levels.get(a) ?? 0))
  // An equation that reads an early result of a region may precede equations of the region: repeated until stable.
  for (let isStable = false; !isStable;) {
    isStable = true
    for (const eqn of equations) {
      const region = regionOf.get(eqn)
      let level = highest(region ? eqn.inputs.filter(a => made.get(a) !== region) : eqn.inputs)
      if (region) {
        ofRegion.set(region, Math.max(level, ofRegion.get(region)!))
        level = ofRegion.get(region)! + 1
      }
      for (const o of eqn.outputs) {
        if (levels.get(o) === level) continue
        levels.set(o, level)
        isStable = false
      }
    }
  }
  const firstReader = new Map<Atom, number>()
  for (const eqn of equations.toReversed()) {
    const region = regionOf.get(eqn)
    const earliest = region ? ofRegion.get(region)! : levels.get(eqn.outputs[0])!
    const level = region || earliest > 0 ? earliest : Math.min(...eqn.outputs.map(o => firstReader.get(o) ?? Infinity))
    const at = Number.isFinite(level) ? level : 0
    for (const a of eqn.inputs) firstReader.set(a, Math.min(firstReader.get(a) ?? Infinity, at))
    if (!region) for (const o of eqn.outputs) levels.set(o, at)
  }
  return levels
}

/**
 * The equations that each segment repeats for itself, because backends compute them ahead of time, or as a part of the
 * equations that read them.
 */
function repeatedEquations(equations: readonly Equation[], weights: Iterable<Atom>): Set<Equation> {
  const repeated = new Set<Equation>()
  const constants = new Set<Atom>(weights)
  for (const eqn of equations) {
    const isConstant = eqn.inputs.every(a => a instanceof Lit || constants.has(a))
    if (isConstant) eqn.outputs.forEach(o => constants.add(o))
    if (isConstant || movements.includes(eqn.primitive)) repeated.add(eqn)
  }
  return repeated
}

/**
 * After a run of a segment: adds its results to the values so far, and removes the inputs that were donated to it. The
 * segment owns these, whatever becomes of the rest of the run, so the program's own are added to `written`.
 */
export function takeResults(
  { program, donated }: Segment<Region>,
  results: readonly Buffer[],
  values: Map<Atom, Buffer>,
  isInput: ReadonlySet<Atom>,
  written: Set<Buffer>,
): void {
  program.outputs.forEach((o, k) => {
    if (!values.has(o)) values.set(o, results[k])
  })
  program.inputs.forEach((v, k) => {
    if (!donated[k]) return
    if (isInput.has(v)) written.add(values.get(v)!)
    values.delete(v)
  })
}
