import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../../engine/api/tensor.js'
import * as np from '../../../engine/api/np.js'
import { grad } from '../../../engine/api/transforms.js'
import type { Assignment } from '../router.js'
import { tokensChooseTop1 } from './tokens-choose.js'

const assign = (probabilities: Tensor, mask: Tensor | null, capacity: number | null): Assignment =>
  tokensChooseTop1.assign({ logits: np.log(probabilities), probabilities }, mask, capacity, {
    tokenIds: null,
    key: null,
    capacityShare: 1,
  })

/** Two groups of four tokens, three experts. */
const probabilities = (): Tensor =>
  np.array([
    [
      [0.7, 0.2, 0.1],
      [0.6, 0.3, 0.1],
      [0.1, 0.8, 0.1],
      [0.5, 0.25, 0.25],
    ],
    [
      [0.2, 0.2, 0.6],
      [0.4, 0.4, 0.2],
      [0.1, 0.1, 0.8],
      [0.25, 0.5, 0.25],
    ],
  ])

describe('tokens choose top 1', () => {
  it('sends each token to its most probable expert, the first one of a tie', async () => {
    const { expert } = assign(probabilities(), null, 2)
    expect(await expert.numbers()).toEqual([0, 0, 1, 0, 2, 0, 2, 1])
  })

  it("fills each group's buffers in token order, and drops tokens beyond the capacity", async () => {
    const { position, kept, gate } = assign(probabilities(), null, 2)
    expect(await position.numbers()).toEqual([0, 1, 0, 2, 0, 0, 1, 0])
    expect(await kept.numbers()).toEqual([1, 1, 1, 0, 1, 1, 1, 1])
    expect(await gate.numbers()).toEqual([0.7, 0.6, 0.8, 0, 0.6, 0.4, 0.8, 0.5].map(Math.fround))
  })

  it('drops nothing without a capacity', async () => {
    const { kept } = assign(probabilities(), null, null)
    expect(await kept.numbers()).toEqual(new Array(8).fill(1))
  })

  it('leaves masked tokens out: they use no capacity', async () => {
    const mask = np.array([
      [true, false, true, true],
      [true, true, false, false],
    ])
    const { position, kept, choice } = assign(probabilities(), mask, 2)
    expect(await position.numbers()).toEqual([0, -1, 0, 1, 0, 0, -1, -1])
    expect(await kept.numbers()).toEqual([1, 0, 1, 1, 1, 1, 0, 0])
    expect(await np.sum(choice, { axis: 1 }).numbers()).toEqual([2, 1, 0, 1, 0, 1])
  })

  it('lets the gradient through the gate of the chosen expert alone', async () => {
    const gradient = grad((p: Tensor) => np.sum(assign(p, null, 2).gate))(probabilities())
    expect(await gradient.numbers()).toEqual([1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0])
  })
})
