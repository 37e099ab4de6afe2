import { expect, it } from 'vitest'
import { sizeOf, toNumbers } from '../../src/base/host-tensor.js'
import { OnnxBackend } from '../../src/engine/compile/onnx/backend.js'
import { nodeSessions } from '../../src/engine/compile/onnx/node.js'
import { referenceBackend } from '../../src/engine/compile/reference/backend.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { setBackend } from '../../src/engine/api/engine.js'
import * as np from '../../src/engine/api/np.js'
import { jit } from '../../src/engine/api/jit.js'

/** A float32 array of a shape that holds 0, 1, 2, ... */
export const numbers = (...shape: number[]): Tensor => np.reshape(np.arange(sizeOf(shape), 'float32'), shape)

/** Expected values in nested lists, which say the shape too. */
export type Expected = number | boolean | readonly Expected[]

const shapeOf = (v: Expected): number[] =>
  typeof v === 'object' ? [v.length, ...(v.length === 0 ? [] : shapeOf(v[0]))] : []
const flat = (v: Expected): number[] => (typeof v === 'object' ? v.flatMap(flat) : [Number(v)])

/**
 * One test for each case: what the function returns, interpreted one operation at a time and compiled whole, has the
 * expected shape and values (floats to rounding).
 */
export function itComputes(cases: Record<string, readonly [() => Tensor, Expected]>): void {
  for (const [name, [f, expected]] of Object.entries(cases)) {
    it(name, async () => {
      setBackend(referenceBackend)
      await compare(f(), expected)
      setBackend(new OnnxBackend(await nodeSessions()))
      await compare(jit(f)(), expected)
      setBackend(referenceBackend)
    })
  }
}

async function compare(x: Tensor, expected: Expected): Promise<void> {
  const data = await x.data()
  expect(data.shape).toEqual(shapeOf(expected))
  const [got, want] = [toNumbers(data), flat(expected)]
  want.forEach((v, i) => {
    if (Number.isInteger(v) || !Number.isFinite(v)) expect(got[i]).toBe(v)
    else expect(Math.abs(got[i] - v), `element ${i}: ${got[i]}, expected ${v}`).toBeLessThanOrEqual(1e-6 * Math.abs(v))
  })
}
