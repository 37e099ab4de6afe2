/**
 * The most levels of objects and arrays in each other. Code that walks through values by recursion runs out of stack at
 * some thousands: Node's messages between processes then end the process of the model.
 */
export const MOST_LEVELS = 128

/** Whether a value of JSON has more levels than that. */
export function isTooDeep(value: unknown): boolean {
  let level = [value].filter(isNested)
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= MOST_LEVELS) return true
    level = level.flatMap(outer => Object.values(outer).filter(isNested))
  }
  return false
}

const isNested = (value: unknown): value is object => typeof value === 'object' && value !== null
