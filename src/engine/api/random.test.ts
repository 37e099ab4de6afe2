import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../compile/reference/backend.js'
import { toNumbers } from '../../base/tensor.js'
import type { Array } from './array.js'
import { setBackend } from './engine.js'
import { OnnxBackend } from '../compile/onnx/backend.js'
import { nodeSessions } from '../compile/onnx/node.js'
import { jit } from './jit.js'
import * as np from './np.js'
import * as random from './random.js'

interface Case { call: string; seed: number; value: NestedNumbers }
type NestedNumbers = number | boolean | NestedNumbers[]
const { cases } = JSON.parse(readFileSync('test/fixtures/jax-random.json', 'utf8')) as { cases: Case[] }

/** Our call for each of JAX's, and how near the values must be. */
const calls: Record<string, { call: (k: Array) => Array; within: number }> = {
  'key_data(key(seed))': { call: k => k, within: 0 },
  'key_data(split(key(seed),3))': { call: k => random.split(k, 3), within: 0 },
  'key_data(fold_in(key(seed),7))': { call: k => random.foldIn(k, 7), within: 0 },
  'bits(key(seed),(5,))': { call: k => random.bits(k, [5]), within: 0 },
  'bits(key(seed),(2,3))': { call: k => random.bits(k, [2, 3]), within: 0 },
  'bits(key(seed),(3,),uint8)': { call: k => random.bits(k, [3], 'uint8'), within: 0 },
  'uniform(key(seed),(4,))': { call: k => random.uniform(k, [4]), within: 1e-6 },
  'uniform(key(seed),(4,),minval=-2,maxval=3)': { call: k => random.uniform(k, [4], { minval: -2, maxval: 3 }), within: 1e-6 },
  'normal(key(seed),(4,))': { call: k => random.normal(k, [4]), within: 1e-6 },
  'truncated_normal(key(seed),-2,2,(4,))': { call: k => random.truncatedNormal(k, -2, 2, [4]), within: 1e-6 },
  'gumbel(key(seed),(4,))': { call: k => random.gumbel(k, [4]), within: 1e-6 },
  'bernoulli(key(seed),0.3,(8,))': { call: k => random.bernoulli(k, 0.3, [8]), within: 0 },
  'randint(key(seed),(6,),0,100)': { call: k => random.randint(k, [6], 0, 100), within: 0 },
  'permutation(key(seed),10)': { call: k => random.permutation(k, 10), within: 0 },
  'categorical(key(seed),log([.1,.2,.3,.4]),shape=(8,))': {
    call: k => random.categorical(k, np.log(np.array([0.1, 0.2, 0.3, 0.4])), { shape: [8] }), within: 0,
  },
}

const shapeOf = (v: NestedNumbers): number[] => (globalThis.Array.isArray(v) ? [v.length, ...shapeOf(v[0])] : [])
const flat = (v: NestedNumbers): number[] => (globalThis.Array.isArray(v) ? v.flatMap(flat) : [Number(v)])

for (const [name, backend] of [['interpreted', () => referenceBackend], ['compiled by ONNX Runtime', async () => new OnnxBackend(await nodeSessions())]] as const) {
  describe(`random numbers are JAX's, ${name}`, () => {
    beforeAll(async () => { setBackend(await backend()) })
    afterAll(() => { setBackend(referenceBackend) })

    it.each(cases)('$call, seed $seed', async ({ call, seed, value }) => {
      const ours = calls[call]
      const data = await jit(ours.call)(random.key(seed)).data()
      expect(data.shape).toEqual(shapeOf(value))
      const got = toNumbers(data)
      if (ours.within === 0) expect(got).toEqual(flat(value))
      else flat(value).forEach((v, i) => expect(Math.abs(got[i] - v)).toBeLessThanOrEqual(ours.within * Math.max(1, Math.abs(v))))
    })
  })
}
