import { describe, expect, it } from 'vitest'
import { partOf } from '../base/host-tensor.js'
import * as random from '../engine/api/random.js'
import { hostView } from '../engine/api/tensor.js'
import { initExpert, initParameter } from './init.js'
import type { Initializer } from './parameters.js'

describe('an expert of a new stack of kernels', () => {
  const inits: readonly Initializer[] = [
    { kind: 'normal', stddev: 0.3 },
    { kind: 'truncatedNormal', stddev: 0.3 },
    { kind: 'uniform', limit: 0.3 },
    { kind: 'ones' },
  ]
  it.each(inits)('is the part of the whole stack, bit for bit: %j', async init => {
    for (const shape of [
      [3, 5, 7],
      [5, 96, 384],
    ]) {
      const spec = { init, shape, dtype: 'float32' } as const
      const whole = await hostView(initParameter(spec, 11, random.key(2 ** 40 + 3)))
      for (let expert = 0; expert < shape[0]; expert++)
        expect(await hostView(initExpert(spec, 11, expert, random.key(2 ** 40 + 3)))).toEqual(partOf(whole, expert))
    }
  })
})
