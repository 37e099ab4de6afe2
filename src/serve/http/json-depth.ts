import { formatCount } from '../../base/format.js'

/**
 * The most levels of objects and arrays in each other. Code that walks through values by recursion runs out of stack at
 * some thousands: Node's messages between processes then end the process of the model.
 */
const MOST_LEVELS = 128

/** The most objects and arrays of a body. Checking 2 million of them by a schema kept answers waiting for 25 s. */
const MOST_OBJECTS = 2 ** 14

/** What is wrong with the objects and arrays of a JSON value, as the end of a sentence; undefined if nothing is. */
export function nestingProblem(value: unknown): string | undefined {
  let level = [value].filter(isNested)
  let objects = 0
  for (let depth = 0; level.length > 0; depth++) {
    objects += level.length
    if (depth >= MOST_LEVELS)
      return `has more than ${MOST_LEVELS} levels of objects and arrays in each other: use fewer`
    if (objects > MOST_OBJECTS) return `has more than ${formatCount(MOST_OBJECTS)} objects and arrays: send it in parts`
    level = level.flatMap(outer => Object.values(outer).filter(isNested))
  }
  return undefined
}

const isNested = (value: unknown): value is object => typeof value === 'object' && value !== null
