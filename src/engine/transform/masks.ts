/**
 * Masks: lists of booleans beside a list of values. They say which values have a tangent, are unknown, are mapped or are
 * needed. null stands for an absent value, such as a tangent that is known to be zero.
 */
import type { Value } from '../program/value.js'

export type Mask = readonly boolean[]

/** Which items are present (not null). */
export const isPresent = (items: readonly unknown[]): boolean[] => items.map(x => x !== null)

/** The items that are present, in order. */
export const present = <T>(items: readonly (T | null)[]): T[] => items.filter(x => x !== null)

/** The items at which the mask holds, in order. */
export const select = <T>(list: readonly T[], mask: Mask): T[] => list.filter((_, i) => mask[i])

/** The items at which the mask does not hold, in order. */
export const reject = <T>(list: readonly T[], mask: Mask): T[] => list.filter((_, i) => !mask[i])

/** The inverse of `select`: takes the next item wherever the mask holds, and puts null elsewhere. */
export function spread(mask: Mask, items: Iterable<Value>): (Value | null)[] {
  const next = items[Symbol.iterator]()
  return mask.map(here => (here ? (next.next().value as Value) : null))
}

export const either = (a: Mask, b: Mask): boolean[] => a.map((x, i) => x || b[i])
export const sameMask = (a: Mask, b: Mask): boolean => a.every((x, i) => x === b[i])
export const allOf = (list: readonly unknown[]): boolean[] => list.map(() => true)

/**
 * The fixpoint of a loop's carry. `attempt` transforms the loop's body with the given mask of carries, and reports which
 * carries have the property after one step (those of the mask included). It is called with a larger mask until a step adds none.
 */
export function settle<T extends { after: Mask }>(start: Mask, attempt: (carried: Mask) => T): T & { carried: Mask } {
  let carried = start
  for (;;) {
    const tried = attempt(carried)
    if (sameMask(tried.after, carried)) return { ...tried, carried }
    carried = tried.after
  }
}

/** The three parts of a scan's operands, or of anything parallel to them. */
export const scanParts = <T>(
  list: readonly T[],
  { numConsts, numCarry }: { numConsts: number; numCarry: number },
): [consts: T[], carry: T[], rows: T[]] => [
  list.slice(0, numConsts),
  list.slice(numConsts, numConsts + numCarry),
  list.slice(numConsts + numCarry),
]
