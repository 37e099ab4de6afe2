/**
 * Hashes and shuffles that are the same on every machine and for ever: the split of a dataset and exact resume rest on
 * them. (The model's randomness is the engine's threefry; nothing here touches it.)
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

/** The numbers below `length` in an order that depends on `seed` and `epoch` alone (splitmix32, Fisher-Yates). */
export function shuffledIndices(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i)
  let state = mix32(mix32(seed ^ HASH_SEED) + epoch)
  for (let i = length - 1; i > 0; i--) {
    state = (state + 0x9e3779b9) | 0
    const j = Math.floor((mix32(state) / 2 ** 32) * (i + 1))
    const swapped = order[i]
    order[i] = order[j]
    order[j] = swapped
  }
  return order
}
