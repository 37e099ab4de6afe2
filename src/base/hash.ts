/**
 * Hashes that are the same on every machine and in every version: the split of a dataset and exact resume depend on them.
 * (The model's randomness is the engine's threefry, which is separate.)
 */

/** Scrambles 32 bits so that every input bit moves every output bit (the finaliser of MurmurHash3); a bijection. */
export function mix32(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** One step of FNV-1a, over a whole number instead of a byte. Begin with `HASH_SEED`; finish with `mix32`. */
export const hashStep = (hash: number, value: number): number => Math.imul(hash ^ value, 0x01000193)
export const HASH_SEED = 0x811c9dc5

/** 32 bits from the UTF-16 code units of a text: FNV-1a, whose low bits alone are weak, then mixed. */
export function hashText(text: string): number {
  let hash = HASH_SEED
  for (let i = 0; i < text.length; i++) hash = hashStep(hash, text.charCodeAt(i))
  return mix32(hash)
}
