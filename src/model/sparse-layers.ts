/** The lists of a model's sparse layers: `encoderSparseLayers` and `decoderSparseLayers` of `ModelConfig`. */

/** Every n-th of a stack's layers: n - 1, 2n - 1 and so on. No layer for 0. */
export const everyNthLayer = (count: number, n: number): number[] =>
  n === 0 ? [] : Array.from({ length: Math.floor(count / n) }, (_, i) => (i + 1) * n - 1)

/** The n of which the layers are every n-th of a stack's `count`; undefined if they follow no such rule. */
export function nthOf(layers: readonly number[], count: number): number | undefined {
  const n = layers.length === 0 ? 0 : Math.min(...layers) + 1
  const every = everyNthLayer(count, n)
  return every.length === layers.length && every.every(layer => layers.includes(layer)) ? n : undefined
}
