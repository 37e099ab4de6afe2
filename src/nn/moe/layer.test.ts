import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../engine/api/tensor.js'
import { jit } from '../../engine/api/jit.js'
import * as np from '../../engine/api/np.js'
import * as random from '../../engine/api/random.js'
import { grad } from '../../engine/api/transforms.js'
import { mlp } from '../mlp.js'
import { noNoise } from '../noise.js'
import type { Noise } from '../noise.js'
import { evenGroups, oneGroup } from './groups.js'
import { moeLayer } from './layer.js'
import type { MoeOptions, MoeParams } from './layer.js'
import type { Router } from './router.js'
import { tokensChooseTop1 } from './routers/tokens-choose.js'

const [batch, length, dModel, dFf, numExperts] = [2, 6, 4, 8, 3]
const dropless: MoeOptions = {
  router: tokensChooseTop1,
  groups: oneGroup(batch, length),
  tokenIds: null,
  capacityShare: 1,
  capacity: null,
  countMasked: false,
  jitterNoise: 0,
  jitterExperts: false,
  activation: 'relu',
  expertDropoutRate: 0,
}
const withCapacity = (capacity: number): MoeOptions => ({
  ...dropless,
  groups: evenGroups(batch, length, numExperts, 8192),
  capacity,
})

const normal = (seed: number, shape: number[]): Tensor => random.normal(random.key(seed), shape)
const params = (): MoeParams => ({
  router: { router_weights: { w: { kernel: normal(0, [dModel, numExperts]) } } },
  expert: {
    wi: { kernel: normal(1, [numExperts, dModel, dFf]) },
    wo: { kernel: normal(2, [numExperts, dFf, dModel]) },
  },
})
const inputs = (): Tensor => normal(3, [batch, length, dModel])
const run = (options: MoeOptions, p = params(), x = inputs(), mask: Tensor | null = null) =>
  jit((p: MoeParams, x: Tensor, mask: Tensor | null) => moeLayer(p, x, mask, options, noNoise))(p, x, mask)

const close = (actual: number[], expected: number[]): void => {
  expect(actual.length).toBe(expected.length)
  actual.forEach((a, i) => expect(a).toBeCloseTo(expected[i], 5))
}

describe('sparse feed-forward layer', () => {
  it('names the array of a custom router whose shape or dtype is wrong', () => {
    const flat: Router = {
      name: 'flat',
      assign: (...given) => {
        const assignment = tokensChooseTop1.assign(...given)
        return { ...assignment, gate: np.squeeze(assignment.gate, 2) }
      },
    }
    expect(() => run({ ...withCapacity(2), router: flat })).toThrow(
      /^the router flat: assign must return gate as float32 \[groups, tokens, choices\], here \[\d+, \d+, 1\]; got float32 \[\d+, \d+\]$/,
    )
    const { assign } = tokensChooseTop1
    const without: Router = {
      name: 'without',
      assign: (...given) => ({ ...assign(...given), expert: undefined as never }),
    }
    expect(() => run({ ...withCapacity(2), router: without })).toThrow(
      /^the router without: assign must return expert as int32 \[groups, tokens, choices\], .*; got nothing$/,
    )
    const counted: Router = {
      name: 'counted',
      assign: (...given) => {
        const assignment = tokensChooseTop1.assign(...given)
        return { ...assignment, choice: np.astype(assignment.choice, 'int32') }
      },
    }
    expect(() => run({ ...withCapacity(2), router: counted })).toThrow(
      /^the router counted: assign must return choice as float32 \[groups, tokens, experts\], .*; got int32 /,
    )
  })

  it("has a dropout mask for all of an expert's slots where they are even, and one for each slot where they are ragged", () => {
    const masks: [number[], number | null][] = []
    const watching: Noise = {
      ...noNoise,
      dropout: (x, _, sharedAxis) => {
        masks.push([[...x.shape], sharedAxis])
        return x
      },
    }
    for (const options of [dropless, { ...dropless, capacity: 5 }])
      moeLayer(params(), inputs(), null, { ...options, expertDropoutRate: 0.5 }, watching)
    expect(masks).toEqual([
      [[batch * length, dFf], null],
      [[numExperts, 5, dFf], 1],
    ])
  })

  it("gives each token its expert's output times the gate", async () => {
    const p = params() as MoeParams & { expert: { wi: { kernel: Tensor }; wo: { kernel: Tensor } } }
    const { output, expert, gate } = run(dropless, p)
    const byExpert = await Promise.all(
      [0, 1, 2].map(e =>
        mlp(
          { wi: { kernel: p.expert.wi.kernel.get(e) }, wo: { kernel: p.expert.wo.kernel.get(e) } },
          inputs(),
          'relu',
          noNoise,
        ).numbers(),
      ),
    )
    const [chosen, gates] = [await expert.numbers(), await gate.numbers()]
    expect(new Set(chosen).size).toBeGreaterThan(1)
    close(
      await output.numbers(),
      chosen.flatMap((e, token) => byExpert[e].slice(token * dModel, (token + 1) * dModel).map(y => y * gates[token])),
    )
  })

  it('gives the same output and gradients with and without a capacity if no token is dropped', async () => {
    const gradient = (options: MoeOptions) =>
      jit(grad((p: MoeParams) => np.sum(np.square(moeLayer(p, inputs(), null, options, noNoise).output))))(params())
    close(await run(withCapacity(4)).output.numbers(), await run(dropless).output.numbers())
    const [a, b] = [gradient(withCapacity(4)), gradient(dropless)] as (MoeParams & {
      expert: { wi: { kernel: Tensor } }
    })[]
    const worst = async (x: Tensor, y: Tensor): Promise<number> =>
      np.divide(np.max(np.abs(np.subtract(x, y))), np.max(np.abs(y))).item()
    expect(await worst(a.expert.wi.kernel, b.expert.wi.kernel)).toBeLessThan(1e-5)
    expect(await worst(a.router.router_weights.w.kernel, b.router.router_weights.w.kernel)).toBeLessThan(1e-5)
  })

  it('computes the same, dropped tokens included, where experts are spread over devices', async () => {
    const layouts = new Set<string>()
    const spread = (capacity: number): MoeOptions => ({
      ...withCapacity(capacity),
      constrain: (x, axes) => {
        layouts.add(axes.join())
        return x
      },
    })
    const results = async (options: MoeOptions): Promise<number[][]> => {
      const f = (p: MoeParams, x: Tensor): Tensor => moeLayer(p, x, null, options, noNoise).output
      const [ofParams, ofX] = jit(grad((p: MoeParams, x: Tensor) => np.sum(np.square(f(p, x))), { argument: [0, 1] }))(
        params(),
        inputs(),
      ) as [MoeParams & { expert: { wo: { kernel: Tensor } } }, Tensor]
      return Promise.all(
        [jit(f)(params(), inputs()), ofParams.expert.wo.kernel, ofParams.router.router_weights.w.kernel, ofX].map(y =>
          y.numbers(),
        ),
      )
    }
    for (const capacity of [1, 4]) {
      const [plain, spreadOut] = [await results(withCapacity(capacity)), await results(spread(capacity))]
      plain.forEach((values, i) => close(spreadOut[i], values))
    }
    expect([...layouts]).toContain('expert,group,capacity,embed')
  })

  it('drops tokens beyond the capacity, and counts them', async () => {
    const { output, kept, statistics } = run(withCapacity(1))
    const keeps = await kept.numbers()
    const rows = await np.any(np.notEqual(output, 0), { axis: 2 }).numbers()
    expect(rows).toEqual(keeps)
    expect(keeps).toContain(0)
    expect(await statistics.shareDropped.item()).toBeCloseTo(keeps.filter(k => k === 0).length / keeps.length, 6)
  })

  it('leaves masked tokens out of outputs, losses and statistics', async () => {
    const real = inputs()
    const mask = np.array([
      [true, true, true, true, false, false],
      [true, true, false, false, false, false],
    ])
    const noisy = np.where(np.expandDims(mask, 2), real, 100)
    const [a, b] = [run(dropless, params(), real, mask), run(dropless, params(), noisy, mask)]
    close(await a.output.numbers(), await b.output.numbers())
    expect(await a.auxLoss.item()).toBe(await b.auxLoss.item())
    expect(await a.zLoss.item()).toBe(await b.zLoss.item())
    const load = await a.statistics.load.numbers()
    expect(load.reduce((x, y) => x + y)).toBeCloseTo(1, 6)
    expect(await a.statistics.entropy.item()).toBe(await b.statistics.entropy.item())
  })

  it('has a load-balancing loss of 1 at perfect balance, and of E if one expert takes everything', async () => {
    const favour = (bias: number[]): MoeParams => ({
      ...params(),
      router: { router_weights: { w: { kernel: np.zeros([dModel, numExperts]), bias: np.array(bias) } } },
    })
    const collapsed = run(dropless, favour([50, 0, 0]))
    expect(await collapsed.auxLoss.item()).toBeCloseTo(numExperts, 4)
    expect(await collapsed.statistics.deadExperts.item()).toBe(2)
    expect(await collapsed.statistics.entropy.item()).toBeCloseTo(0, 5)
    const even = run(dropless, favour([0, 0, 0]))
    expect(await even.auxLoss.item()).toBeCloseTo(1, 5) // f = (1, 0, 0), P = 1/3 each
    expect(await even.statistics.entropy.item()).toBeCloseTo(Math.log(numExperts), 5)
    expect(await even.zLoss.item()).toBeCloseTo(Math.log(numExperts) ** 2, 5)
  })
})
