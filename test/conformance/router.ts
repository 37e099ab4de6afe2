import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hostFrom } from '../../src/base/tensor.js'
import type { Array as EngineArray } from '../../src/engine/api/array.js'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import { softmax } from '../../src/nn/softmax.js'
import type { Router } from '../../src/nn/moe/router.js'

const [groups, tokens, experts] = [2, 7, 3]

interface Routed { probabilities: number[]; expert: number[]; position: number[]; kept: number[]; gate: number[]; choice: number[] }

/** What holds for every way in which tokens choose experts. */
export function describeRouter(name: string, router: Router): void {
  const assignWith = (capacity: number | null) => jit((logits: EngineArray, mask: EngineArray) => {
    const probabilities = softmax(logits)
    return { probabilities, ...router.assign(probabilities, mask, capacity) }
  })
  const assigners = new Map([1, 3, null].map(capacity => [capacity, assignWith(capacity)] as const))
  const sample = fc.record({
    logits: fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: groups * tokens * experts, maxLength: groups * tokens * experts }),
    mask: fc.array(fc.boolean(), { minLength: groups * tokens, maxLength: groups * tokens }),
    capacity: fc.constantFrom(1, 3, null),
  })
  const route = async ({ logits, mask, capacity }: { logits: number[]; mask: boolean[]; capacity: number | null }): Promise<Routed> => {
    const result = assigners.get(capacity)!(
      np.fromHost(hostFrom('float32', [groups, tokens, experts], logits)), np.fromHost(hostFrom('bool', [groups, tokens], mask.map(Number))))
    const entries = await Promise.all(Object.entries(result).map(async ([key, x]) => [key, await x.numbers()] as const))
    return Object.fromEntries(entries) as unknown as Routed
  }

  describe(`Router: ${name}`, () => {
    it('gives kept tokens different places below the capacity, in each group', async () => {
      await fc.assert(fc.asyncProperty(sample, async s => {
        const { expert, position, kept } = await route(s)
        const places = kept.flatMap((k, t) => (k ? [`${Math.floor(t / tokens)} ${expert[t]} ${position[t]}`] : []))
        expect(new Set(places).size).toBe(places.length)
        kept.forEach((k, t) => {
          if (!k) return
          expect(position[t]).toBeGreaterThanOrEqual(0)
          expect(position[t]).toBeLessThan(s.capacity ?? tokens)
        })
      }))
    })

    it('keeps no masked token, and every other one while there is room', async () => {
      await fc.assert(fc.asyncProperty(sample, async s => {
        const { expert, kept, choice } = await route(s)
        kept.forEach((k, t) => {
          const chosen = choice.slice(t * experts, (t + 1) * experts)
          if (!s.mask[t]) expect([k, ...chosen]).toEqual([0, 0, 0, 0])
          else expect(chosen).toEqual([0, 1, 2].map(e => Number(e === expert[t])))
          if (s.mask[t] && !k) {
            const group = Math.floor(t / tokens) * tokens
            const others = kept.slice(group, group + tokens).filter((other, i) => other && expert[group + i] === expert[t])
            expect(others.length).toBe(s.capacity)
          }
        })
      }))
    })

    it('gates by the probability of the expert, and by 0 what is not kept', async () => {
      await fc.assert(fc.asyncProperty(sample, async s => {
        const { probabilities, expert, kept, gate } = await route(s)
        gate.forEach((g, t) => expect(g).toBeCloseTo(kept[t] ? probabilities[t * experts + expert[t]] : 0, 6))
      }))
    })
  })
}
