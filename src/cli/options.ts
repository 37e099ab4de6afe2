import { InvalidArgumentError } from 'commander'

/** The types that kernels can be quantized to. */
export const bitsOf = { int8: 8, int4: 4 } as const

/** Reads an option that is a whole number of at least `least`. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`expected a whole number of ${least} or more`)
    return value
  }

/** Reads an option that is any number; what it may be is said by whoever uses it. */
export function anyNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('expected a number')
  return value
}

/** An option that may be given again: all of its values. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value]
