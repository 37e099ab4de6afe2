import type { Tensor } from '../../engine/api/tensor.js'
import { customVjp } from '../../engine/api/composite.js'
import * as lax from '../../engine/api/lax.js'
import * as np from '../../engine/api/np.js'
import type { Assignment } from './router.js'

/**
 * Where tokens stand while experts work on them, each expert's in slots one after the other. A token has a slot for each of its choices;
 * choice c of token t is number `t * choices + c`. The two maps are each other's inverse; a number past the end means nowhere (a
 * dropped choice, an empty slot).
 */
export type Slots = {
  slotOfChoice: Tensor // [tokens, choices], int32
  choiceOfSlot: Tensor // [slots], int32
  /** How many slots each expert has; a number: all as many. */
  slotsOfExpert: Tensor | number // [experts], int32
}

type Places = Pick<Assignment, 'expert' | 'position' | 'kept'>

/** Each expert has `expertCapacity` slots for each group's choices (not more than it has tokens); what is not kept has no slot. */
export function bufferSlots({ expert, position, kept }: Places, numExperts: number, expertCapacity: number): Slots {
  const [numGroups, tokensPerGroup] = expert.shape
  const capacity = Math.min(expertCapacity, tokensPerGroup)
  const rows = numGroups * capacity
  const group = np.reshape(np.arange(numGroups), [numGroups, 1, 1])
  const buffer = np.add(np.multiply(expert, numGroups), group) // [groups, tokens, choices]
  const slot = np.where(kept, np.add(np.multiply(buffer, capacity), position), numExperts * rows) // [groups, tokens, choices]
  const slotOfChoice = np.reshape(slot, [-1, slot.shape[2]]) // [tokens, choices]
  const numChoices = slotOfChoice.size
  const nowhere = np.full([numExperts * rows], numChoices, 'int32')
  const choiceOfSlot = lax.scatter(nowhere, np.reshape(slotOfChoice, [-1, 1]), np.arange(numChoices), {
    axes: [0],
    batchDims: 0,
    mode: 'drop',
  }) // [slots]
  return { slotOfChoice, choiceOfSlot, slotsOfExpert: rows }
}

/**
 * As many slots as there are choices, however they are divided: each expert has those that its tokens need, in their order. What is
 * not kept has a slot behind all experts.
 */
export function raggedSlots({ expert, kept }: Pick<Places, 'expert' | 'kept'>, numExperts: number): Slots {
  const expertOfChoice = np.reshape(np.where(kept, expert, numExperts), [-1]) // [choices]
  const choiceOfSlot = np.argsort(expertOfChoice) // [slots]
  return {
    choiceOfSlot,
    slotOfChoice: np.reshape(np.argsort(choiceOfSlot), [-1, expert.shape[2]]), // [tokens, choices]
    slotsOfExpert: np.astype(np.sum(np.oneHot(expertOfChoice, numExperts), { axis: 0 }), 'int32'), // [experts]
  }
}

/** Tokens [tokens, dModel] into their slots; empty slots are 0. */
export const dispatch = (x: Tensor, { slotOfChoice, choiceOfSlot }: Slots): Tensor =>
  tokensToSlots(x, slotOfChoice, choiceOfSlot) // [slots, dModel]

/** What the experts made [slots, dModel] back to the tokens' choices; choices without a slot get 0. */
export const combine = (y: Tensor, { slotOfChoice, choiceOfSlot }: Slots): Tensor =>
  slotsToChoices(y, slotOfChoice, choiceOfSlot) // [tokens, choices, dModel]

/** No slot belongs to two choices, and the maps are each other's inverse, so a gradient is gathers too: by the other map. */
const tokensToSlots = customVjp(
  function tokens_to_slots(x: Tensor, slotOfChoice: Tensor, choiceOfSlot: Tensor): Tensor {
    return takeTokens(x, slotOfChoice, choiceOfSlot)
  },
  (x, slotOfChoice, choiceOfSlot) => [takeTokens(x, slotOfChoice, choiceOfSlot), { slotOfChoice }],
  ({ slotOfChoice }: { slotOfChoice: Tensor }, ct) => [np.sum(takeRows(ct, slotOfChoice), { axis: 1 }), null, null],
)

const slotsToChoices = customVjp(
  function slots_to_choices(y: Tensor, slotOfChoice: Tensor, _choiceOfSlot: Tensor): Tensor {
    return takeRows(y, slotOfChoice)
  },
  (y, slotOfChoice, choiceOfSlot) => [takeRows(y, slotOfChoice), { choiceOfSlot }],
  ({ choiceOfSlot }: { choiceOfSlot: Tensor }, ct) => [
    takeRows(np.reshape(ct, [-1, ct.shape[2]]), choiceOfSlot),
    null,
    null,
  ],
)

/** Rows of x [tokens, dModel] for the slots' choices. An empty slot's number is past the last token's, too. */
function takeTokens(x: Tensor, slotOfChoice: Tensor, choiceOfSlot: Tensor): Tensor {
  const choices = slotOfChoice.shape[1]
  return takeRows(x, choices === 1 ? choiceOfSlot : np.floorDivide(choiceOfSlot, choices)) // [slots, dModel]
}

/** Rows of x [rows, dModel]; numbers past the end give 0. */
export const takeRows = (x: Tensor, index: Tensor): Tensor =>
  lax.gather(x, np.expandDims(index, index.ndim), { axes: [0], batchDims: 0, mode: 'fill' }) // [...index, dModel]
