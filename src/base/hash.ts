/**
 * Hashes that must never change: the split of a data set into training and held-out examples, and the exact resumption
 * of a run, depend on them. (The model's random numbers come from the engine's threefry instead.)
 */

/** Scrambles 32 bits so that every input bit affects every output bit (the finalizer of MurmurHash3). A bijection. */
export function mix32(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/**
 * One step of the FNV-1a hash, for a whole number instead of a byte. Start from `HASH_SEED`, and finish with `mix32`.
 */
export const hashStep = (hash: number, value: number): number => Math.imul(hash ^ value, 0x01000193)
export const HASH_SEED = 0x811c9dc5

/** A 32-bit hash of a text's UTF-16 code units: FNV-1a, then `mix32`, because the low bits of FNV-1a are weak. */
export function hashText(text: string): number {
  let hash = HASH_SEED
  for (let i = 0; i < text.length; i++) hash = hashStep(hash, text.charCodeAt(i))
  return mix32(hash)
}
