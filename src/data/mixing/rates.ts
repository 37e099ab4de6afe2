import { ConfigError } from '../../base/errors.js'
import { power } from './power.js'

export interface RateOptions {
  /** The greatest rate, before the temperature. None by default; 0 means none too. */
  readonly maximum?: number
  /** A factor, before the maximum. Default: 1. */
  readonly scale?: number
  /** The rate r becomes r^(1 / temperature): above 1, small tasks get a larger share. Default: 1. */
  readonly temperature?: number
}

/** SeqIO's `mixing_rate_num_examples`: a task's rate from the number of its examples. */
export function mixingRateNumExamples(
  numExamples: number,
  { maximum = 0, scale = 1, temperature = 1 }: RateOptions = {},
): number {
  const scaled = numExamples * scale
  const rate = maximum ? Math.min(scaled, maximum) : scaled
  return temperature === 1 ? rate : power(rate, 1 / temperature)
}

/** A task of a mixture, or a mixture inside it, which has members. */
export interface MixtureMember {
  readonly name: string
  /** How often it is drawn, relative to the other members. */
  readonly rate: number
  readonly members?: readonly MixtureMember[]
}

/**
 * The rates of all tasks of a mixture, in the order of their names, in which SeqIO draws from them. The rate of an
 * inner mixture is divided among its tasks, and the rates of a task that occurs more than once are added.
 */
export function taskRates(members: readonly MixtureMember[]): ReadonlyMap<string, number> {
  const rates = new Map<string, number>()
  const add = (name: string, rate: number): void => {
    rates.set(name, (rates.get(name) ?? 0) + rate)
  }
  for (const { name, rate } of members) {
    if (!(rate >= 0 && rate < Infinity))
      throw new ConfigError(`the mixing rate of "${name}" is ${rate}: it must be a number of 0 or more`)
  }
  // SeqIO adds the rates of inner mixtures first. The order of additions decides their last bit.
  for (const { name: mixture, rate, members: inner } of members) {
    if (!inner) continue
    const total = inner.reduce((sum, member) => sum + member.rate, 0)
    if (total === 0) throw new ConfigError(`no task of "${mixture}" has a mixing rate above 0`)
    for (const [name, innerRate] of taskRates(inner)) add(name, (rate * innerRate) / total)
  }
  for (const { name, rate, members: inner } of members) if (!inner) add(name, rate)
  return new Map([...rates].sort(([a], [b]) => compareCodePoints(a, b)))
}

/** The order of Python's strings. UTF-8 bytes have it, UTF-16 units do not. */
function compareCodePoints(a: string, b: string): number {
  const [first, second] = [a, b].map(text => new TextEncoder().encode(text))
  for (let i = 0; i < Math.min(first.length, second.length); i++)
    if (first[i] !== second[i]) return first[i] - second[i]
  return first.length - second.length
}
