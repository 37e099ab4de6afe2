/** np's functions against NumPy's and JAX's results, recorded by np-reference.py; interpreted, and compiled whole. */
import { readFileSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../../src/base/host-tensor.js'
import type { DType } from '../../src/base/dtypes.js'
import { setBackend } from '../../src/engine/api/engine.js'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import { Tensor } from '../../src/engine/api/tensor.js'
import { OnnxBackend } from '../../src/engine/compile/onnx/backend.js'
import { nodeSessions } from '../../src/engine/compile/onnx/node.js'
import { referenceBackend } from '../../src/engine/compile/reference/backend.js'

interface RecordedArray {
  dtype: DType
  shape: number[]
  values: (number | string | boolean)[]
}
interface Case {
  name: string
  args: unknown[]
  exact: boolean
  expected: RecordedArray[]
}

const cases = JSON.parse(readFileSync(new URL('../fixtures/numpy.json', import.meta.url), 'utf8')) as Case[]
const words: Record<string, number> = { nan: NaN, inf: Infinity, '-inf': -Infinity, '-0': -0 }
const numberOf = (v: number | string | boolean): number => (typeof v === 'string' ? words[v] : Number(v))
const shown = (v: number): string => (Object.is(v, -0) ? '-0' : String(v))

/** A recorded argument as np's function takes it: an array, or an object of options. */
function argument(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(argument)
  if (typeof x === 'string') return words[x] ?? x
  if (typeof x !== 'object' || x === null) return x
  if ('options' in x)
    return Object.fromEntries(Object.entries(x.options as object).map(([key, value]) => [key, argument(value)]))
  const { dtype, shape, values } = x as RecordedArray
  return np.fromHost(hostFrom(dtype, shape, values.map(numberOf)))
}

/** Functions that give either of 0 and -0 for the two (see `max` in primitives.ts). */
const eitherZero = new Set(['maximum', 'minimum', 'fmax', 'fmin'])

const functions = np as unknown as Record<string, (...args: unknown[]) => unknown>
const results = ({ name, args }: Case): Tensor[] => [functions[name](...args.map(argument))].flat() as Tensor[]

async function compare(got: readonly Tensor[], { name, expected, exact }: Case, title: string): Promise<void> {
  expect(got.length, title).toBe(expected.length)
  for (const [i, want] of expected.entries()) {
    const data = await got[i].data()
    expect({ dtype: data.dtype, shape: data.shape }, title).toEqual({ dtype: want.dtype, shape: want.shape })
    const numbers = toNumbers(data)
    want.values.map(numberOf).forEach((v, at) => {
      const where = `${title}: element ${at} is ${shown(numbers[at])}, not ${shown(v)}`
      if (exact || !Number.isFinite(v) || v === 0)
        expect(Object.is(numbers[at], v) || (numbers[at] === v && eitherZero.has(name)), where).toBe(true)
      else expect(Math.abs(numbers[at] - v), where).toBeLessThanOrEqual(4e-6 * Math.abs(v))
    })
  }
}

afterEach(() => {
  setBackend(referenceBackend)
})

const names = [...new Set(cases.map(c => c.name))]
it.each(names)('%s', async name => {
  for (const [i, recorded] of cases.filter(c => c.name === name).entries()) {
    const title = `${name}, case ${i}`
    setBackend(referenceBackend)
    await compare(results(recorded), recorded, `${title}, interpreted`)
    setBackend(new OnnxBackend(nodeSessions()))
    await compare(jit(() => results(recorded))(), recorded, `${title}, compiled`)
  }
})
