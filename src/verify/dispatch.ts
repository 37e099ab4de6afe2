import { hostTensor } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { RouterRecord } from '../nn/moe/types.js'

/**
 * The one-hot dispatch mask [groups, tokens, experts, capacity] of Flaxformer, and its combine array, which has gates
 * in place of ones. If a token's position in an expert is past the expected capacity, the capacity is larger.
 */
export async function dispatchArrays(
  record: RouterRecord,
  expectedCapacity: number,
): Promise<{ mask: HostTensor; combine: HostTensor }> {
  const [groups, tokens, experts] = record.logits.shape
  const [expert, position, kept, gate] = await Promise.all(
    [record.expert, record.position, record.kept, record.gate].map(x => x.numbers()),
  )
  const choices = record.expert.shape[2]
  const capacity = position.reduce((most, p, i) => (kept[i] ? Math.max(most, p + 1) : most), expectedCapacity)
  const mask = new Uint8Array(groups * tokens * experts * capacity)
  const combine = new Float32Array(mask.length)
  for (let i = 0; i < expert.length; i++) {
    if (!kept[i]) continue
    const at = (Math.floor(i / choices) * experts + expert[i]) * capacity + position[i]
    mask[at] = 1
    combine[at] = gate[i]
  }
  const shape = [groups, tokens, experts, capacity]
  return { mask: hostTensor('uint8', shape, mask), combine: hostTensor('float32', shape, combine) }
}

/** HF's dispatch mask [groups, tokens, experts]: 1 for the expert that takes a token, 0 elsewhere. */
export async function expertMask(record: RouterRecord): Promise<HostTensor> {
  const [groups, tokens, experts] = record.logits.shape
  const [expert, kept] = await Promise.all([record.expert.numbers(), record.kept.numbers()])
  const mask = new Uint8Array(groups * tokens * experts)
  expert.forEach((e, token) => {
    if (kept[token]) mask[token * experts + e] = 1
  })
  return hostTensor('uint8', [groups, tokens, experts], mask)
}
