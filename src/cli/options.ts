import { InvalidArgumentError } from 'commander'

/** The dtypes that kernels can be quantized to, with their bits. */
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

/** Reads an option that is a number. The code that uses it checks its range. */
export function anyNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('expected a number')
  return value
}

/** Collects the values of an option that may be given several times. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value]
