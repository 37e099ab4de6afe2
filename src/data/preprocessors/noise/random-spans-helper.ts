import { roundHalfEven } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'

export interface RandomSpans {
  /** The share of the tokens that are noise. T5: 0.15. */
  readonly noiseDensity: number
  /** The mean length of a noise span in tokens. T5: 3. */
  readonly meanNoiseSpanLength: number
}

export interface RandomSpansSizes extends RandomSpans {
  /** The length that the inputs shall have, EOS included. */
  readonly inputsLength: number
  /** How many tokens stand for a noise span in the inputs. Default: 1, a sentinel. */
  readonly extraTokensPerSpanInputs?: number
  /** How many tokens come with a noise span in the targets. Default: 1, a sentinel. */
  readonly extraTokensPerSpanTargets?: number
}

/**
 * T5's `random_spans_helper`: how many tokens of text fill inputs of a given length once their noise spans are
 * replaced, and how long the targets are then. Both lengths include EOS. With a density of 0.5 the text is one token
 * shorter if the targets would be longer than the inputs.
 */
export function randomSpansHelper(options: RandomSpansSizes): { tokensLength: number; targetsLength: number } {
  const { inputsLength, noiseDensity, meanNoiseSpanLength } = options
  const { extraTokensPerSpanInputs: extraInputs = 1, extraTokensPerSpanTargets: extraTargets = 1 } = options
  checkSpans(options)
  check(
    inputsLength >= 1 && Number.isInteger(inputsLength),
    () => `the inputs need a length of 1 or more tokens, not ${inputsLength}`,
  )
  check(
    noiseDensity < 1 || extraInputs > 0,
    () => `with a noise density of ${noiseDensity} and no sentinels, inputs never fill ${inputsLength} tokens`,
  )
  const lengths = (tokens: number): { inputs: number; targets: number } => {
    const noise = roundHalfEven(tokens * noiseDensity)
    const spans = roundHalfEven(noise / meanNoiseSpanLength)
    return { inputs: tokens - noise + spans * extraInputs + 1, targets: noise + spans * extraTargets + 1 }
  }
  let tokensLength = inputsLength - 1
  while (lengths(tokensLength + 1).inputs <= inputsLength) tokensLength++
  const { inputs, targets } = lengths(tokensLength)
  return noiseDensity === 0.5 && targets > inputs
    ? { tokensLength: tokensLength - 1, targetsLength: targets - 1 }
    : { tokensLength, targetsLength: targets }
}

/** Throws a ShapeError unless the density is a share and the mean length is positive. */
export function checkSpans({ noiseDensity, meanNoiseSpanLength }: RandomSpans): void {
  check(noiseDensity >= 0 && noiseDensity <= 1, () => `a noise density is from 0 to 1, not ${noiseDensity}`)
  check(
    meanNoiseSpanLength > 0 && meanNoiseSpanLength < Infinity,
    () => `the mean length of a noise span must be positive, not ${meanNoiseSpanLength}`,
  )
}
