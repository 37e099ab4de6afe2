import { hostTensor } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { RouterRecord } from '../nn/moe/types.js'

/**
 * The references' one-hot dispatch mask [groups, tokens, experts, capacity], and the same with gates for ones, from the
 * numbers that we route by: one choice a token, as in all references. If a token stands beyond the expected capacity the arrays are larger.
 */
export async function dispatchArrays(
  record: RouterRecord,
  expectedCapacity: number,
): Promise<{ mask: HostTensor; combine: HostTensor }> {
  const [groups, tokens, experts] = record.logits.shape
  const [expert, position, kept, gate] = await Promise.all(
    [record.expert, record.position, record.kept, record.gate].map(x => x.numbers()),
  )
  const capacity = position.reduce((most, p, token) => (kept[token] ? Math.max(most, p + 1) : most), expectedCapacity)
  const mask = new Uint8Array(groups * tokens * experts * capacity)
  const combine = new Float32Array(mask.length)
  for (let token = 0; token < expert.length; token++) {
    if (!kept[token]) continue
    const at = (token * experts + expert[token]) * capacity + position[token]
    mask[at] = 1
    combine[at] = gate[token]
  }
  const shape = [groups, tokens, experts, capacity]
  return { mask: hostTensor('uint8', shape, mask), combine: hostTensor('float32', shape, combine) }
}

/** HF's mask [groups, tokens, experts]: which expert a token is sent to, if it is. */
export async function expertMask(record: RouterRecord): Promise<HostTensor> {
  const [groups, tokens, experts] = record.logits.shape
  const [expert, kept] = await Promise.all([record.expert.numbers(), record.kept.numbers()])
  const mask = new Uint8Array(groups * tokens * experts)
  expert.forEach((e, token) => {
    if (kept[token]) mask[token * experts + e] = 1
  })
  return hostTensor('uint8', [groups, tokens, experts], mask)
}
