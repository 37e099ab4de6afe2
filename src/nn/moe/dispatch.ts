import type { Array } from '../../engine/api/array.js'
import { customVjp } from '../../engine/api/composite.js'
import * as lax from '../../engine/api/lax.js'
import * as np from '../../engine/api/np.js'
import type { Assignment } from './router.js'

/**
 * Where tokens stand while experts work on them: blocks of slots, each block worked on by one expert. A token has a slot for
 * each of its choices; choice c of token t is number `t * choices + c`. The two maps are each other's inverse; a number past
 * the end means nowhere (a dropped choice, an empty slot).
 */
export type Slots = {
  slotOfChoice: Array // [tokens, choices], int32
  choiceOfSlot: Array // [blocks * rows], int32
  /** The expert of each block; null: block i is expert i's. */
  expertOfBlock: Array | null // [blocks], int32
  blocks: number
  rows: number
}

type Places = Pick<Assignment, 'expert' | 'position' | 'kept'>

/** One block an expert, with `expertCapacity` slots for each group's choices (not more than it has tokens); what is not kept has no slot. */
export function bufferSlots({ expert, position, kept }: Places, numExperts: number, expertCapacity: number): Slots {
  const [numGroups, tokensPerGroup] = expert.shape
  const capacity = Math.min(expertCapacity, tokensPerGroup)
  const rows = numGroups * capacity
  const group = np.reshape(np.arange(numGroups), [numGroups, 1, 1])
  const buffer = np.add(np.multiply(expert, numGroups), group) // [groups, tokens, choices]
  const slot = np.where(kept, np.add(np.multiply(buffer, capacity), position), numExperts * rows) // [groups, tokens, choices]
  return invert(slot, { expertOfBlock: null, blocks: numExperts, rows })
}

/**
 * A slot for every choice, however they are divided: each expert gets as many blocks as its tokens need. `rows` is the mean
 * number of choices an expert, so less than two times as many slots as choices are worked on. `load` [experts] counts each expert's choices.
 */
export function droplessSlots({ expert, position, kept }: Places, load: Array): Slots {
  const [numExperts] = load.shape
  const choices = expert.size
  const rows = Math.ceil(choices / numExperts)
  const blocks = rows === 1 ? choices : Math.floor(choices / rows) + Math.min(numExperts, choices)
  const blocksOfExpert = np.astype(np.ceil(np.divide(load, rows)), 'int32') // [experts]
  const end = np.cumsum(blocksOfExpert, 0) // [experts]
  const firstBlock = np.take(np.subtract(end, blocksOfExpert), expert, 0) // [groups, tokens, choices]
  const slot = np.where(kept, np.add(np.multiply(firstBlock, rows), position), blocks * rows) // [groups, tokens, choices]
  const before = np.lessEqual(np.reshape(end, [1, numExperts]), np.reshape(np.arange(blocks), [blocks, 1])) // [blocks, experts]
  const expertOfBlock = np.minimum(np.sum(np.astype(before, 'int32'), { axis: 1 }), numExperts - 1) // [blocks]
  return invert(slot, { expertOfBlock, blocks, rows })
}

function invert(slot: Array, layout: Pick<Slots, 'expertOfBlock' | 'blocks' | 'rows'>): Slots {
  const slotOfChoice = np.reshape(slot, [-1, slot.shape[2]]) // [tokens, choices]
  const numChoices = slotOfChoice.size
  const nowhere = np.full([layout.blocks * layout.rows], numChoices, 'int32')
  const choiceOfSlot = lax.scatter(nowhere, np.reshape(slotOfChoice, [-1, 1]), np.arange(numChoices), { axes: [0], batchDims: 0, mode: 'drop' }) // [slots]
  return { slotOfChoice, choiceOfSlot, ...layout }
}

/** Tokens [tokens, dModel] into their slots; empty slots are 0. */
export function dispatch(x: Array, { slotOfChoice, choiceOfSlot, blocks, rows }: Slots): Array {
  return np.reshape(tokensToSlots(x, slotOfChoice, choiceOfSlot), [blocks, rows, -1]) // [blocks, rows, dModel]
}

/** What the experts made [blocks, rows, dModel] back to the tokens' choices; choices without a slot get 0. */
export function combine(y: Array, { slotOfChoice, choiceOfSlot, blocks, rows }: Slots): Array {
  return slotsToChoices(np.reshape(y, [blocks * rows, -1]), slotOfChoice, choiceOfSlot) // [tokens, choices, dModel]
}

/** No slot belongs to two choices, and the maps are each other's inverse, so a gradient is gathers too: by the other map. */
const tokensToSlots = customVjp(
  function tokens_to_slots(x: Array, slotOfChoice: Array, choiceOfSlot: Array): Array { return takeTokens(x, slotOfChoice, choiceOfSlot) },
  (x, slotOfChoice, choiceOfSlot) => [takeTokens(x, slotOfChoice, choiceOfSlot), { slotOfChoice }],
  ({ slotOfChoice }: { slotOfChoice: Array }, ct) => [np.sum(takeRows(ct, slotOfChoice), { axis: 1 }), null, null],
)

const slotsToChoices = customVjp(
  function slots_to_choices(y: Array, slotOfChoice: Array, _choiceOfSlot: Array): Array { return takeRows(y, slotOfChoice) },
  (y, slotOfChoice, choiceOfSlot) => [takeRows(y, slotOfChoice), { choiceOfSlot }],
  ({ choiceOfSlot }: { choiceOfSlot: Array }, ct) => [takeRows(np.reshape(ct, [-1, ct.shape[2]]), choiceOfSlot), null, null],
)

/** Rows of x [tokens, dModel] for the slots' choices. An empty slot's number is past the last token's, too. */
function takeTokens(x: Array, slotOfChoice: Array, choiceOfSlot: Array): Array {
  const choices = slotOfChoice.shape[1]
  return takeRows(x, choices === 1 ? choiceOfSlot : np.floorDivide(choiceOfSlot, choices)) // [slots, dModel]
}

const takeRows = (x: Array, index: Array): Array =>
  lax.gather(x, np.expandDims(index, index.ndim), { axes: [0], batchDims: 0, mode: 'fill' }) // [...index, dModel]
