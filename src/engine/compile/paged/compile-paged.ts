import { SwitchyardError } from '../../../base/errors.js'
import type { Atom, Program } from '../../program/program.js'
import type { Backend, Buffer, CompiledWithWeights, ProgramsAtSizes } from '../backend.js'
import { cutAtRegions } from '../cut.js'
import type { Cut } from '../cut.js'
import { Groups } from './groups.js'
import { alignedWith, inlineCalls, structureOf } from './inline.js'
import { PagedBuffer } from './paged-buffer.js'
import { PagedFunction } from './paged-function.js'
import { pagedValues, readInMemory, regionsOf } from './regions.js'
import type { Region } from './regions.js'
import { retyper } from './retype.js'

type Cutter = (program: Program) => Cut<Region>

/**
 * `Backend.compileWithWeights` for weights some of which are paged (`PagedBuffer`). The program is cut at the equations
 * that read these. The backend compiles the segments between, and the equations of a cut for one group. A run goes
 * through the segments; after each one it fetches the pages of the groups that have rows, and computes them one by one.
 * `name`: the function's, for errors. Throws a SwitchyardError if the function needs all of a paged array.
 */
export async function compilePaged(
  backend: Backend,
  examples: ProgramsAtSizes,
  weights: readonly (Buffer | null)[],
  donated: readonly boolean[],
  name: string,
): Promise<CompiledWithWeights> {
  const cut = cutter(weights, donated, name)
  const groups = new Groups(backend)
  const [first, second, third] = examples.map(inlineCalls)
  if ([second, third].some(p => structureOf(p) !== structureOf(first))) return eachSize(backend, groups, weights, cut)
  const general = await PagedFunction.compile(backend, groups, [cut(first), cut(second), cut(third)], weights)
  const retyped = retyper([first, second, third])
  return {
    copied: general.copied,
    eachSizeBecause: general.eachSizeBecause,
    at: async sizes => {
      const whole = (): Cut<Region> => cut(alike(sizes.program(), first, name))
      const typed = retyped?.(sizes.inputs)
      return typed ? general.at(cut(typed), whole) : general.at(whole())
    },
    release: async () => {
      await general.release()
      await groups.release()
    },
  }
}

/** Cuts programs of a function. (Not a closure in `compilePaged`, which would keep the weights that are copied.) */
function cutter(weights: readonly (Buffer | null)[], donated: readonly boolean[], name: string): Cutter {
  const buffers = weights.map(b => (b instanceof PagedBuffer ? b : null))
  const isWeight = weights.map(b => b !== null)
  return program => {
    const paged = pagedValues(program, buffers, name)
    const inputsThat = (are: readonly boolean[]): Set<Atom> => new Set(program.inputs.filter((_, i) => are[i]))
    return cutAtRegions(program, regionsOf(program, paged), {
      donated: inputsThat(donated),
      reads: readInMemory,
      weights: inputsThat(isWeight),
      absent: paged,
    })
  }
}

/** The program, inlined, with the equations of `general`. */
function alike(program: Program, general: Program, name: string): Program {
  const aligned = alignedWith(general, inlineCalls(program))
  if (aligned) return aligned
  throw new SwitchyardError(
    `${name} computes something else at these sizes than at the sizes of its examples, which is not possible with paged weights: make it apply the same functions at all sizes`,
  )
}

/** A function whose programs differ in more than sizes: each one is compiled by itself, when it is needed. */
const eachSize = (
  backend: Backend,
  groups: Groups,
  weights: readonly (Buffer | null)[],
  cut: Cutter,
): CompiledWithWeights => ({
  copied: [],
  eachSizeBecause: 'it does not apply the same functions at all sizes',
  at: async sizes => {
    const own = cut(inlineCalls(sizes.program()))
    const compiled = await PagedFunction.compile(backend, groups, [own, own, own], weights)
    return { ...(await compiled.at(own)), release: () => compiled.release() }
  },
  release: () => groups.release(),
})
