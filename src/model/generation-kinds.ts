/** A kind of values of a setting: what a value must be, as a check and in words that complete "must be". */
export interface Kind<T> {
  readonly must: string
  readonly holds: (value: unknown) => value is T
  /** Whether its numbers are whole. The numbers of other kinds are floats, which Python writes as 1.0. */
  readonly isWhole?: boolean
}

function numbers(must: string, inRange: (value: number) => boolean, isWhole = false): Kind<number> {
  const holds = (value: unknown): value is number =>
    typeof value === 'number' && Number.isFinite(value) && (!isWhole || Number.isInteger(value)) && inRange(value)
  return { must, holds, isWhole }
}

export const count = numbers('a whole number, 0 or more', x => x >= 0, true)
export const size = numbers('a whole number above 0', x => x > 0, true)
export const number = numbers('a number', () => true)
export const positive = numbers('a number above 0', x => x > 0)
export const share = numbers('a number from 0 to 1', x => x >= 0 && x <= 1)
export const positiveShare = numbers('a number above 0, at most 1', x => x > 0 && x <= 1)

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isListOf = (value: unknown, holds: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(item => holds(item))

export const flag: Kind<boolean> = {
  must: 'true or false',
  holds: value => typeof value === 'boolean',
}

/** Texts. An empty one is refused: every text contains it. */
export const texts: Kind<readonly string[]> = {
  must: 'a list of texts, none of them empty',
  holds: (value): value is readonly string[] => isListOf(value, isText),
}

export const ids: Kind<readonly number[]> = {
  must: 'a list of token ids',
  holds: (value): value is readonly number[] => isListOf(value, count.holds),
}

export const sequences: Kind<readonly (readonly number[])[]> = {
  must: "a list of lists of token ids of the model's vocabulary",
  holds: (value): value is readonly (readonly number[])[] => isListOf(value, ids.holds),
}

/** Added to the score of the last token of a sequence, where its other tokens precede it. */
export type SequenceBias = { readonly ids: readonly number[]; readonly bias: number }

export const biases: Kind<readonly SequenceBias[]> = {
  must: "a list of pairs: a list of token ids of the model's vocabulary, and a number",
  holds: (value): value is readonly SequenceBias[] =>
    isListOf(value, pair => isRecord(pair) && ids.holds(pair.ids) && number.holds(pair.bias)),
}

/** A factor for the scores of every EOS, which grows with each token after the first `start`. */
export type LengthDecay = { readonly start: number; readonly factor: number }

export const decay: Kind<LengthDecay> = {
  must: 'two numbers: a length and a factor',
  holds: (value): value is LengthDecay => isRecord(value) && number.holds(value.start) && number.holds(value.factor),
}

export const stopping: Kind<boolean | 'never'> = {
  must: 'true, false or "never"',
  holds: value => typeof value === 'boolean' || value === 'never',
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
