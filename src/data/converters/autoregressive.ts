import { PAD_ID } from '../../text/vocabulary.js'

/**
 * A decoder's inputs: the tokens shifted right by one, beginning with `bosId`. In a packed row (with `segmentIds`)
 * each segment begins with `bosId`, and so does the padding after the last one.
 */
export function shiftRight(tokens: Int32Array, segmentIds?: Int32Array, bosId: number = PAD_ID): Int32Array {
  const shifted = new Int32Array(tokens.length)
  let segment = 0
  for (let i = 0; i < tokens.length; i++) {
    const begins = segmentIds ? segmentIds[i] !== segment : i === 0
    shifted[i] = begins || i === 0 ? bosId : tokens[i - 1]
    if (segmentIds) segment = segmentIds[i]
  }
  return shifted
}

/** The weight of each target in the loss: 1 for a token, 0 for padding. */
export function lossWeights(targets: Int32Array): Int32Array {
  const weights = new Int32Array(targets.length)
  for (let i = 0; i < targets.length; i++) if (targets[i] !== PAD_ID) weights[i] = 1
  return weights
}
