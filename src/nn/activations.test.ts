import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../engine/api/engine.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import type { Tensor } from '../engine/api/tensor.js'
import { grad } from '../engine/api/transforms.js'
import { vmap } from '../engine/api/vmap.js'
import { OnnxBackend } from '../engine/compile/onnx/backend.js'
import { nodeSessions } from '../engine/compile/onnx/node.js'
import * as nn from './functions.js'

interface Curve {
  y: number[]
  grad: number[]
}
const jax = JSON.parse(readFileSync('test/fixtures/jax-activations.json', 'utf8')) as {
  x: number[]
  functions: Record<string, Curve>
}

const functions: Record<string, (x: Tensor) => Tensor> = {
  relu: nn.relu,
  relu6: nn.relu6,
  gelu: x => nn.gelu(x),
  geluExact: x => nn.gelu(x, { approximate: false }),
  silu: nn.silu,
  softplus: nn.softplus,
  logSigmoid: nn.logSigmoid,
  elu: x => nn.elu(x),
  selu: nn.selu,
  celu: x => nn.celu(x, 2),
  leakyRelu: x => nn.leakyRelu(x),
  hardTanh: nn.hardTanh,
  hardSigmoid: nn.hardSigmoid,
  hardSilu: nn.hardSwish,
  mish: nn.mish,
  softsign: nn.softsign,
  squareplus: x => nn.squareplus(x),
}

/** [value, derivative] at -Infinity and at Infinity. */
const limits: Record<string, [[number, number], [number, number]]> = {
  relu: [
    [0, 0],
    [Infinity, 1],
  ],
  geluExact: [
    [0, 0],
    [Infinity, 1],
  ],
  silu: [
    [0, 0],
    [Infinity, 1],
  ],
  softplus: [
    [0, 0],
    [Infinity, 1],
  ],
  logSigmoid: [
    [-Infinity, 1],
    [0, 0],
  ],
  elu: [
    [-1, 0],
    [Infinity, 1],
  ],
  celu: [
    [-2, 0],
    [Infinity, 1],
  ],
  hardTanh: [
    [-1, 0],
    [1, 0],
  ],
  hardSigmoid: [
    [0, 0],
    [1, 0],
  ],
  hardSilu: [
    [0, 0],
    [Infinity, 1],
  ],
  mish: [
    [0, 0],
    [Infinity, 1],
  ],
  softsign: [
    [-1, 0],
    [1, 0],
  ],
  squareplus: [
    [0, 0],
    [Infinity, 1],
  ],
}

describe('activations, compiled', () => {
  beforeAll(async () => {
    setBackend(new OnnxBackend(await nodeSessions()))
  })
  const both = (f: (x: Tensor) => Tensor) => jit((x: Tensor) => ({ y: f(x), grad: vmap(grad(f))(x) }))

  it.each(Object.entries(jax.functions))('%s and its derivative equal JAX’s', async (name, wanted) => {
    const got = both(functions[name])(np.array(jax.x))
    for (const part of ['y', 'grad'] as const)
      (await got[part].numbers()).forEach((v, i) =>
        expect(
          Math.abs(v - wanted[part][i]),
          `${part} at ${jax.x[i]}: ${v}, not ${wanted[part][i]}`,
        ).toBeLessThanOrEqual(3e-6 * Math.max(1, Math.abs(wanted[part][i]))),
      )
  })

  it.each(Object.entries(limits))('%s has its limits at the infinities, and NaN for NaN', async (name, [low, high]) => {
    const { y, grad: slope } = both(functions[name])(np.array([-Infinity, Infinity, NaN]))
    const [values, slopes] = [await y.numbers(), await slope.numbers()]
    expect([values[0] + 0, slopes[0] + 0, values[1] + 0, slopes[1] + 0]).toEqual([...low, ...high])
    expect(values[2]).toBeNaN()
  })

  it('accept integers, plain numbers and float16', async () => {
    expect(await nn.silu(0).item()).toBe(0)
    expect(nn.elu(np.array([1, 2], 'int32')).dtype).toBe('float32')
    expect(nn.mish(np.array([1], 'bfloat16')).dtype).toBe('bfloat16')
    expect(await nn.glu(np.array([1, 2, 0, 0])).numbers()).toEqual([0.5, 1])
    expect(() => nn.glu(np.zeros([3]))).toThrow('glu halves axis -1, whose length must be even, of f32[3]')
    const x = np.array([
      [1, 2],
      [1, 2],
    ])
    expect(await nn.softmax(x, 0).numbers()).toEqual([0.5, 0.5, 0.5, 0.5])
    expect((await nn.logSoftmax(x, 0).numbers())[0]).toBeCloseTo(-Math.LN2, 6)
  })
})
