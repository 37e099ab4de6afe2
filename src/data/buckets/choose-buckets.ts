import type { TokenExample } from '../features.js'

/** The length of a bucket's rows on each side. */
export interface Bucket {
  readonly inputLength: number
  readonly targetLength: number
}

/** Lengths are rounded up to a multiple of this, so that similar data has the same buckets. */
const ROUND = 8
/** So many lengths are tried as limits of buckets. */
const LIMITS = 64

type Lengths = readonly [inputs: number, targets: number]

/**
 * The lengths of at most `count` buckets for examples with the given lengths: those that need the least padding. Each
 * bucket is as long as the one before or longer on both sides, and the last has full rows.
 */
export function chooseBuckets(examples: readonly Lengths[], full: Bucket, count: number): Bucket[] {
  // An example belongs to the first bucket that holds both sides: the side that fills more of a full row decides.
  const sizeOf = ([inputs, targets]: Lengths): number =>
    Math.max(inputs / full.inputLength, targets / full.targetLength)
  const sorted = examples.toSorted((a, b) => sizeOf(a) - sizeOf(b))
  const limits: { end: number; bucket: Bucket }[] = []
  let [inputs, targets] = [0, 0]
  const groups = Math.min(LIMITS, sorted.length)
  for (let g = 1, i = 0; g <= groups; g++) {
    const end = Math.round((g * sorted.length) / groups)
    for (; i < end; i++) {
      inputs = Math.max(inputs, sorted[i][0])
      targets = Math.max(targets, sorted[i][1])
    }
    limits.push({ end, bucket: roundedUp(inputs, targets, full) })
  }
  limits.push({ end: sorted.length, bucket: full })
  return leastPadding(limits, count)
}

/** Chooses `count` of the limits, the last among them, by dynamic programming over the tokens of all rows. */
function leastPadding(limits: readonly { end: number; bucket: Bucket }[], count: number): Bucket[] {
  const area = ({ inputLength, targetLength }: Bucket): number => inputLength + targetLength
  /** The best way to put the examples up to each limit into so many buckets. */
  let best = limits.map(({ end, bucket }) => ({ cost: end * area(bucket), chosen: [bucket] }))
  for (let buckets = 2; buckets <= count; buckets++) {
    const fewer = best
    best = limits.map(({ end, bucket }, l) => {
      let found = fewer[l]
      for (let before = 0; before < l; before++) {
        const cost = fewer[before].cost + (end - limits[before].end) * area(bucket)
        if (cost < found.cost) found = { cost, chosen: [...fewer[before].chosen, bucket] }
      }
      return found
    })
  }
  const { chosen } = best[best.length - 1]
  // Every example has a bucket, also one that is longer than those the lengths were chosen from.
  return chosen.filter((bucket, i) => i === chosen.length - 1 || area(bucket) < area(chosen[i + 1]))
}

const roundedUp = (inputs: number, targets: number, full: Bucket): Bucket => ({
  inputLength: Math.min(full.inputLength, ROUND * Math.ceil(inputs / ROUND)),
  targetLength: Math.min(full.targetLength, ROUND * Math.ceil(targets / ROUND)),
})

/** The index of the first bucket that holds an example. */
export const bucketOf = (buckets: readonly Bucket[], { inputs, targets }: TokenExample): number =>
  buckets.findIndex(({ inputLength, targetLength }) => inputs.length <= inputLength && targets.length <= targetLength)
