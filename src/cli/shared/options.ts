import { InvalidArgumentError, Option } from 'commander'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'

/** The dtypes that kernels can be quantized to, with their bits. */
export const bitsOf = { int8: 8, int4: 4 } as const

/** Reads an option that is a whole number from `least` to `most`. */
export const wholeNumber =
  (least: number, most = Infinity) =>
  (text: string): number => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(
        `expected a whole number ${most === Infinity ? `of ${least} or more` : `from ${least} to ${most}`}`,
      )
    return value
  }

/** Reads an option that is a number. The code that uses it checks its range. */
export function anyNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('expected a number')
  return value
}

/** Reads `--checkpoint`: which checkpoint of a run. */
function checkpointChoice(text: string): CheckpointChoice {
  const step = /^(?:step-)?(\d{1,15})$/.exec(text)?.[1]
  if (text === 'best' || text === 'latest') return text
  if (step === undefined) throw new InvalidArgumentError('expected best, latest, or the number of a step')
  return Number(step)
}

/** The option `--checkpoint`. */
export const checkpointOption = (): Option =>
  new Option(
    '--checkpoint <which>',
    'of a run: best (by its validations; the latest if it has none), latest, or the number of a step (default: best)',
  ).argParser(checkpointChoice)

/** Collects the values of `--set`. A setting without `=` is refused here, before its value is taken for an argument. */
export function collectSettings(value: string, previous: string[] = []): string[] {
  if (value.includes('=')) return [...previous, value]
  throw new InvalidArgumentError(
    `expected a setting and its value with = between and no space: ${value || 'train.steps'}=VALUE`,
  )
}

/** Collects the values of an option that may be given several times. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value]
