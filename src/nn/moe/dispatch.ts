import type { Tensor } from '../../engine/api/tensor.js'
import { composite } from '../../engine/api/composite.js'
import * as lax from '../../engine/api/lax.js'
import * as np from '../../engine/api/np.js'
import type { Assignment } from './router.js'

/**
 * The order of rows while experts compute them. Each row is a slot; the slots of an expert are consecutive. A token has
 * one slot for each of its choices. Choice c of token t is number `t * choices + c`. `slotOfChoice` and `choiceOfSlot`
 * are inverse to each other. A number past the end means a dropped choice or an empty slot.
 */
export type Slots = {
  slotOfChoice: Tensor // [tokens, choices], int32
  choiceOfSlot: Tensor // [slots], int32
  /** The number of slots of each expert. A plain number if all experts have that many. */
  slotsOfExpert: Tensor | number // [experts], int32
}

type Order = Pick<Slots, 'slotOfChoice' | 'choiceOfSlot'>
type Choices = Pick<Assignment, 'expert' | 'position' | 'kept'>

/**
 * Slots of fixed number: `expertCapacity` for each expert and group, but at most the group's tokens. Dropped choices
 * have no slot.
 */
export function bufferSlots({ expert, position, kept }: Choices, numExperts: number, expertCapacity: number): Slots {
  const [numGroups, tokensPerGroup] = expert.shape
  const capacity = Math.min(expertCapacity, tokensPerGroup)
  const rows = numGroups * capacity
  const group = np.reshape(np.arange(numGroups), [numGroups, 1, 1]) // [groups, 1, 1]
  const buffer = np.add(np.multiply(expert, numGroups), group) // [groups, tokens, choices]
  const slot = np.where(kept, np.add(np.multiply(buffer, capacity), position), numExperts * rows) // [groups, tokens, choices]
  const slotOfChoice = np.reshape(slot, [-1, slot.shape[2]]) // [tokens, choices]
  const numChoices = slotOfChoice.size
  const nowhere = np.full([numExperts * rows], numChoices, 'int32') // [slots]
  const choiceOfSlot = lax.scatter(nowhere, np.reshape(slotOfChoice, [-1, 1]), np.arange(numChoices), {
    axes: [0],
    batchDims: 0,
    mode: 'drop',
  }) // [slots]
  return { slotOfChoice, choiceOfSlot, slotsOfExpert: rows }
}

/**
 * As many slots as choices, sorted by expert: each expert has one slot for each choice of it, in the tokens' order. The
 * choices that are not kept come after the last expert's.
 */
export function raggedSlots({ expert, kept }: Pick<Choices, 'expert' | 'kept'>, numExperts: number): Slots {
  const expertOfChoice = np.reshape(np.where(kept, expert, numExperts), [-1]) // [choices]
  const choiceOfSlot = np.argsort(expertOfChoice) // [slots]
  return {
    choiceOfSlot,
    slotOfChoice: np.reshape(np.argsort(choiceOfSlot), [-1, expert.shape[2]]), // [tokens, choices]
    slotsOfExpert: np.sum(np.oneHot(expertOfChoice, numExperts, { dtype: 'int32' }), { axis: 0 }), // [experts]
  }
}

/** Copies tokens [tokens, dModel] into their slots. Empty slots are 0. */
export function dispatch(x: Tensor, { slotOfChoice, choiceOfSlot }: Order): Tensor {
  const choices = slotOfChoice.shape[1]
  // The token number of an empty slot is past the last token, which gives 0.
  const tokenOfSlot = choices === 1 ? choiceOfSlot : lax.div(choiceOfSlot, choices) // [slots]
  return tokensToSlots(x, slotOfChoice, tokenOfSlot) // [slots, dModel]
}

/** Copies the experts' outputs [slots, dModel] back to the tokens' choices. Choices without a slot get 0. */
export const combine = (y: Tensor, { slotOfChoice, choiceOfSlot }: Order): Tensor =>
  slotsToChoices(y, slotOfChoice, choiceOfSlot) // [tokens, choices, dModel]

/**
 * A gather by `tokenOfSlot` [slots]. Its gradient is a gather by the inverse map, `slotOfChoice`, not a scatter.
 */
const tokensToSlots = composite(
  'tokens_to_slots',
  (x: Tensor, _slotOfChoice: Tensor, tokenOfSlot: Tensor): Tensor => takeRows(x, tokenOfSlot), // [slots, dModel]
  {
    vjp: {
      forward: (x, slotOfChoice, tokenOfSlot) => [takeRows(x, tokenOfSlot), { slotOfChoice }],
      backward: ({ slotOfChoice }: { slotOfChoice: Tensor }, ct) => [
        np.sum(takeRows(ct, slotOfChoice), { axis: 1 }), // [tokens, dModel]
        null,
        null,
      ],
    },
  },
)

const slotsToChoices = composite(
  'slots_to_choices',
  (y: Tensor, slotOfChoice: Tensor, _choiceOfSlot: Tensor): Tensor => takeRows(y, slotOfChoice), // [tokens, choices, dModel]
  {
    vjp: {
      forward: (y, slotOfChoice, choiceOfSlot) => [takeRows(y, slotOfChoice), { choiceOfSlot }],
      backward: ({ choiceOfSlot }: { choiceOfSlot: Tensor }, ct) => [
        takeRows(np.reshape(ct, [-1, ct.shape[2]]), choiceOfSlot), // [slots, dModel]
        null,
        null,
      ],
    },
  },
)

/** Rows of x [rows, dModel] by their numbers. Numbers past the end give rows of 0. */
export const takeRows = (x: Tensor, index: Tensor): Tensor =>
  lax.gather(x, np.expandDims(index, index.ndim), { axes: [0], batchDims: 0, mode: 'fill' }) // [...index, dModel]
