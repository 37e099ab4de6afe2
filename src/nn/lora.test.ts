import { describe, expect, it } from 'vitest'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { dense } from './dense.js'
import type { AdaptedKernel } from './lora.js'
import { evenGroups, oneGroup } from './moe/groups.js'
import { moeLayer } from './moe/layer.js'
import type { MoeOptions, MoeParams } from './moe/layer.js'
import { tokensChooseTop1 } from './moe/routers/tokens-choose.js'
import { noNoise } from './noise.js'

const [batch, length, dModel, dFf, numExperts, rank] = [2, 6, 4, 8, 3, 2]
const normal = (seed: number, shape: number[]): Tensor => random.normal(random.key(seed), shape)

function adapted(seed: number, shape: number[]): AdaptedKernel & { kernel: Tensor } {
  const [inputs, outputs] = shape.slice(-2)
  const stack = shape.slice(0, -2)
  return {
    kernel: normal(seed, shape),
    lora_a: normal(seed + 10, [...stack, inputs, rank]),
    lora_b: normal(seed + 20, [...stack, rank, outputs]),
  }
}
const merged = ({ kernel, lora_a: a, lora_b: b }: ReturnType<typeof adapted>): { kernel: Tensor } => ({
  kernel: np.add(kernel, np.matmul(a!, b!)),
})

async function expectClose(actual: Tensor, expected: Tensor): Promise<void> {
  const values = await expected.numbers()
  ;(await actual.numbers()).forEach((x, i) => expect(x).toBeCloseTo(values[i], 4))
}

describe('a kernel with a low-rank adapter', () => {
  it('maps as the kernel plus the product of the adapter', async () => {
    const params = adapted(0, [dModel, dFf])
    await expectClose(
      dense(params, normal(5, [batch, length, dModel])),
      dense(merged(params), normal(5, [batch, length, dModel])),
    )
  })

  it.each<[string, Partial<MoeOptions>]>([
    ['of the same capacity', { capacity: 5, groups: evenGroups(batch, length, numExperts, 8192) }],
    ['without a capacity', { capacity: null, groups: oneGroup(batch, length) }],
  ])('may be that of a router and of experts %s', async (_, sizes) => {
    const options = {
      router: tokensChooseTop1,
      countMasked: false,
      jitterNoise: 0,
      jitterExperts: false,
      activation: 'relu',
      expertDropoutRate: 0,
      ...sizes,
    } as MoeOptions
    const [router, wi, wo] = [
      adapted(0, [dModel, numExperts]),
      adapted(1, [numExperts, dModel, dFf]),
      adapted(2, [numExperts, dFf, dModel]),
    ]
    const paramsOf = (map: (params: ReturnType<typeof adapted>) => AdaptedKernel & { kernel: Tensor }): MoeParams => ({
      router: { router_weights: { w: map(router) } },
      expert: { wi: map(wi), wo: map(wo) },
    })
    const run = jit(
      (params: TensorTree, x: Tensor) => moeLayer(params as unknown as MoeParams, x, null, options, noNoise).output,
    )
    const outputOf = (params: MoeParams): Tensor =>
      run(params as unknown as TensorTree, normal(3, [batch, length, dModel]))
    await expectClose(outputOf(paramsOf(params => params)), outputOf(paramsOf(merged)))
  })
})
