/**
 * Masks: lists of booleans parallel to a list of values. They say which values have a tangent, are unknown, are mapped
 * or are needed. In a list of values, null marks an absent one, such as a tangent that is known to be zero.
 */
import type { Value } from '../program/value.js'

export type Mask = readonly boolean[]

/** Which items are present (not null). */
export const isPresent = (items: readonly unknown[]): boolean[] => items.map(x => x !== null)

/** The items that are present, in order. */
export const present = <T>(items: readonly (T | null)[]): T[] => items.filter(x => x !== null)

/** The items at the positions where the mask is true, in order. */
export const select = <T>(list: readonly T[], mask: Mask): T[] => list.filter((_, i) => mask[i])

/** The items at the positions where the mask is false, in order. */
export const reject = <T>(list: readonly T[], mask: Mask): T[] => list.filter((_, i) => !mask[i])

/** The inverse of `select`: the next item at each position where the mask is true, null at all other positions. */
export function spread(mask: Mask, items: Iterable<Value>): (Value | null)[] {
  const next = items[Symbol.iterator]()
  return mask.map(isHere => (isHere ? (next.next().value as Value) : null))
}

export const either = (a: Mask, b: Mask): boolean[] => a.map((x, i) => x || b[i])
const sameMask = (a: Mask, b: Mask): boolean => a.every((x, i) => x === b[i])
/** The mask that is true for every item of a list. */
export const allOf = (list: readonly unknown[]): boolean[] => list.map(() => true)

/**
 * The fixpoint of a property of a loop's carries, such as "has a tangent". `attempt` transforms the loop's body, given
 * the mask of the carries that have the property before a step, and returns in `after` the mask of those that have it
 * after the step, which includes the former. It is called again with the larger mask until the mask stays the same.
 */
export function settle<T extends { after: Mask }>(start: Mask, attempt: (carried: Mask) => T): T & { carried: Mask } {
  let carried = start
  for (;;) {
    const tried = attempt(carried)
    if (sameMask(tried.after, carried)) return { ...tried, carried }
    carried = tried.after
  }
}

/** The three parts of a list with one item for each operand of a scan. */
export const scanParts = <T>(
  list: readonly T[],
  { numConsts, numCarry }: { numConsts: number; numCarry: number },
): [consts: T[], carry: T[], rows: T[]] => [
  list.slice(0, numConsts),
  list.slice(numConsts, numConsts + numCarry),
  list.slice(numConsts + numCarry),
]
