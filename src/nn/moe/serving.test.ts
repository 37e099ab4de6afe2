import { expect, it } from 'vitest'
import type { Array } from '../../engine/api/array.js'
import { jit } from '../../engine/api/jit.js'
import * as np from '../../engine/api/np.js'
import * as random from '../../engine/api/random.js'
import { makeProgram } from '../../engine/api/transforms.js'
import { noNoise } from '../noise.js'
import { oneGroup } from './groups.js'
import { moeLayer } from './layer.js'
import type { MoeParams } from './layer.js'
import { tokensChooseTop1 } from './router.js'
import { serveExperts, servedMoe } from './serving.js'
import type { ServedMoeParams } from './serving.js'

const [batch, length, dModel, dFf, numExperts] = [5, 1, 8, 12, 4]
const normal = (seed: number, shape: number[]): Array => random.normal(random.key(seed), shape)
const params = (): MoeParams => ({
  router: { router_weights: { w: { kernel: normal(0, [dModel, numExperts]), bias: normal(1, [numExperts]) } } },
  expert: { wi: { kernel: normal(2, [numExperts, dModel, dFf]) }, wo: { kernel: normal(3, [numExperts, dFf, dModel]) } },
})
const options = {
  router: tokensChooseTop1, groups: oneGroup(batch, length), capacity: null, countMasked: false, jitterNoise: 0, jitterExperts: false, expertDropoutRate: 0,
}

it('makes what the layer makes when nothing is dropped, inside a program too', async () => {
  const served = serveExperts(params()) as ServedMoeParams
  // What goes in is made in the program and read by nothing else: a kernel might take its memory.
  const inside = (f: (x: Array) => Array) => jit((x: Array) => np.negative(f(np.sin(x))))
  const x = normal(4, [batch, length, dModel])
  const expected = await inside(y => moeLayer(params(), y, null, options, noNoise).output)(x).numbers()
  expect(new Set(expected.map(Math.abs)).size).toBe(batch * dModel)
  for (const actual of [await inside(y => servedMoe(served, y))(x).numbers(), await np.negative(servedMoe(served, np.sin(x))).numbers()]) {
    actual.forEach((y, i) => expect(y).toBeCloseTo(expected[i], 5))
  }
})

it('stays whole in programs, for a backend that knows it', () => {
  expect(String(makeProgram((x: Array) => servedMoe(serveExperts(params()) as ServedMoeParams, x))(normal(4, [batch, length, dModel])))).toContain('composite[name=moe_ffn')
})
