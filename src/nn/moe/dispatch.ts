import type { Array } from '../../engine/api/array.js'
import { customVjp } from '../../engine/api/composite.js'
import * as lax from '../../engine/api/lax.js'
import * as np from '../../engine/api/np.js'

/**
 * Where tokens stand while experts work on them: blocks of slots, each block worked on by one expert. The two maps are
 * each other's inverse; a number past the end means nowhere (a dropped token, an empty slot).
 */
export type Slots = {
  slotOfToken: Array // [tokens], int32
  tokenOfSlot: Array // [blocks * rows], int32
  /** The expert of each block; null: block i is expert i's. */
  expertOfBlock: Array | null // [blocks], int32
  blocks: number
  rows: number
}

/** One block an expert, with `capacity` slots for each group's tokens (not more than it has); what is not kept has no slot. */
export function bufferSlots(expert: Array, position: Array, kept: Array, numExperts: number, expertCapacity: number): Slots {
  const [numGroups, tokensPerGroup] = expert.shape
  const capacity = Math.min(expertCapacity, tokensPerGroup)
  const rows = numGroups * capacity
  const group = np.reshape(np.arange(numGroups), [numGroups, 1])
  const buffer = np.add(np.multiply(expert, numGroups), group) // [groups, tokens]
  const slot = np.where(kept, np.add(np.multiply(buffer, capacity), position), numExperts * rows) // [groups, tokens]
  return invert(slot, { expertOfBlock: null, blocks: numExperts, rows })
}

/**
 * A slot for every token, however they are divided: each expert gets as many blocks as its tokens need. `rows` is the mean
 * number of tokens an expert, so less than two times as many slots as tokens are worked on. `load` [experts] counts each expert's tokens.
 */
export function droplessSlots(expert: Array, position: Array, kept: Array, load: Array): Slots {
  const [numExperts] = load.shape
  const tokens = expert.size
  const rows = Math.ceil(tokens / numExperts)
  const blocks = rows === 1 ? tokens : Math.floor(tokens / rows) + Math.min(numExperts, tokens)
  const blocksOfExpert = np.astype(np.ceil(np.divide(load, rows)), 'int32') // [experts]
  const end = np.cumsum(blocksOfExpert, 0) // [experts]
  const firstBlock = np.take(np.subtract(end, blocksOfExpert), expert, 0) // [groups, tokens]
  const slot = np.where(kept, np.add(np.multiply(firstBlock, rows), position), blocks * rows) // [groups, tokens]
  const before = np.lessEqual(np.reshape(end, [1, numExperts]), np.reshape(np.arange(blocks), [blocks, 1])) // [blocks, experts]
  const expertOfBlock = np.minimum(np.sum(np.astype(before, 'int32'), { axis: 1 }), numExperts - 1) // [blocks]
  return invert(slot, { expertOfBlock, blocks, rows })
}

function invert(slot: Array, layout: Pick<Slots, 'expertOfBlock' | 'blocks' | 'rows'>): Slots {
  const slotOfToken = np.reshape(slot, [-1]) // [tokens]
  const numTokens = slotOfToken.size
  const nowhere = np.full([layout.blocks * layout.rows], numTokens, 'int32')
  const tokenOfSlot = lax.scatter(nowhere, np.expandDims(slotOfToken, 1), np.arange(numTokens), { axes: [0], batchDims: 0, mode: 'drop' }) // [slots]
  return { slotOfToken, tokenOfSlot, ...layout }
}

/** Tokens [tokens, dModel] into their slots; empty slots are 0. */
export function dispatch(x: Array, { slotOfToken, tokenOfSlot, blocks, rows }: Slots): Array {
  return np.reshape(permuteRows(x, tokenOfSlot, slotOfToken), [blocks, rows, -1]) // [blocks, rows, dModel]
}

/** What the experts made [blocks, rows, dModel] back to the tokens; tokens without a slot get 0. */
export function combine(y: Array, { slotOfToken, tokenOfSlot, blocks, rows }: Slots): Array {
  return permuteRows(np.reshape(y, [blocks * rows, -1]), slotOfToken, tokenOfSlot) // [tokens, dModel]
}

/**
 * Row i of the result is row `source[i]` of x, or 0 if there is none. No row is read twice, and `inverse` says where each
 * went, so the gradient is a gather too: by the inverse.
 */
const permuteRows = customVjp(
  function permute_rows(x: Array, source: Array, _inverse: Array): Array { return takeRows(x, source) },
  (x, source, inverse) => [takeRows(x, source), { inverse }],
  ({ inverse }: { inverse: Array }, ct) => [takeRows(ct, inverse), null, null],
)

const takeRows = (x: Array, index: Array): Array =>
  lax.gather(x, np.expandDims(index, 1), { axes: [0], batchDims: 0, mode: 'fill' })
