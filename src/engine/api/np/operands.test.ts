import { beforeAll, describe, expect, it } from 'vitest'
import { itComputes } from '../../../../test/conformance/np.js'
import { referenceBackend } from '../../compile/reference/backend.js'
import { setBackend } from '../engine.js'
import * as np from '../np.js'
import { Tensor } from '../tensor.js'
import { makeProgram } from '../transforms.js'

beforeAll(() => {
  setBackend(referenceBackend)
})
const int = (...values: number[]): Tensor => np.array(values, 'int32')

/** Calls that throw, or that need other arguments than numbers: each is tried by a test of its own. */
const others = new Set(['fromHost', 'promote', 'broadcastShapes', 'slice'])
/** Arguments in the place of the array where a bare number alone is refused, as by NumPy. */
const lists: Record<string, unknown[]> = {
  append: [[1], 2],
  argmax: [[1]],
  argmin: [[1]],
  argsort: [[1]],
  arraySplit: [[1, 2], 2],
  bincount: [[1n, 2n], { length: 3 }],
  bitwiseAnd: [1n, 2n],
  bitwiseCount: [3n],
  bitwiseNot: [true],
  bitwiseOr: [1n, 2n],
  bitwiseXor: [1n, 2n],
  block: [[[1, 2]]],
  choose: [0, [1, 2]],
  columnStack: [[[1], [2]]],
  compress: [[true], [1], { size: 1 }],
  concat: [[[1], [2]]],
  concatenate: [[[1], [2]]],
  corrcoef: [[1, 2]],
  cov: [[1, 2]],
  cross: [
    [1, 2, 3],
    [1, 2, 3],
  ],
  cumprod: [[1]],
  cumsum: [[1]],
  diag: [[1]],
  diagonal: [[[1]]],
  diff: [[1, 2]],
  digitize: [1, [0, 2]],
  dsplit: [[[[1, 2]]], 2],
  dstack: [[1, 2]],
  expandDims: [1, 0],
  extract: [[true], [1], { size: 1 }],
  eye: [2],
  fillDiagonal: [[[1]], 2],
  fliplr: [[[1]]],
  flipud: [[1]],
  full: [[2], 1],
  fullLike: [1, 2],
  gcd: [4n, 6n],
  geomspace: [1, 8, 4],
  hsplit: [[1, 2], 2],
  insert: [[1], 0, 2],
  intersect1d: [[1], [1], { size: 1 }],
  interp: [1, [0, 2], [3, 4]],
  invert: [true],
  isin: [1, [1]],
  lcm: [4n, 6n],
  leftShift: [1n, 2n],
  lexsort: [[[1, 2]]],
  matmul: [[1], [2]],
  matrixTranspose: [[[1]]],
  meshgrid: [[[1], [2]]],
  moveaxis: [[[1]], 0, 1],
  nanargmax: [[1]],
  nanargmin: [[1]],
  nancumprod: [[1]],
  nancumsum: [[1]],
  ndim: [1],
  oneHot: [1, 2],
  pad: [[1], 1],
  percentile: [1, 50],
  permuteDims: [[[1]], [1, 0]],
  polyadd: [[1], [2]],
  polyder: [[1]],
  polyint: [[1]],
  polymul: [[1], [2]],
  polysub: [[1], [2]],
  polyval: [[1], 2],
  putAlongAxis: [[1], [0], 2],
  quantile: [1, 0.5],
  nanquantile: [1, 0.5],
  nanpercentile: [1, 50],
  ravelMultiIndex: [
    [0, 0],
    [1, 1],
  ],
  remove: [[1, 2], 0],
  repeat: [1, 2],
  reshape: [1, [1]],
  resize: [1, [2]],
  rightShift: [4n, 1n],
  rollaxis: [[[1]], 1],
  rot90: [[[1]]],
  searchsorted: [[1], 1],
  select: [[true], [1]],
  setdiff1d: [[1], [2], { size: 1 }],
  setxor1d: [[1], [2], { size: 1 }],
  sort: [[1]],
  split: [[1, 2], 2],
  stack: [[1, 2]],
  swapaxes: [[[1]], 0, 1],
  take: [[1], 0],
  takeAlongAxis: [[1], [0]],
  tensordot: [[1], [2], 1],
  tile: [1, 2],
  topK: [[1, 2], 1],
  trace: [[[1]]],
  trapezoid: [[1, 2]],
  tril: [[[1]]],
  triu: [[[1]]],
  union1d: [[1], [2], { size: 2 }],
  unique: [1, { size: 1 }],
  uniqueAll: [1, { size: 1 }],
  unravelIndex: [0, [1]],
  unstack: [[1]],
  vander: [[1]],
  vsplit: [[1, 2], 2],
  vstack: [[1, 2]],
  flatnonzero: [1, { size: 1 }],
  argwhere: [1, { size: 1 }],
  nonzero: [[1], { size: 1 }],
  arange: [3],
  broadcastTo: [1, [2]],
  einsum: ['i,i->', [1, 2], [3, 4]],
  vecdot: [[1], [2]],
  hstack: [[1, 2]],
  astype: [1, 'int32'],
  asarray: [1],
  zerosLike: [1],
  onesLike: [1],
  emptyLike: [1],
  transpose: [[1]],
  squeeze: [[1]],
  flip: [[1]],
  roll: [[1], 1],
  gradient: [[1, 2]],
  unwrap: [[1, 2]],
  matvec: [[[1]], [1]],
  vecmat: [[1], [[1]]],
}

describe('operands', () => {
  it.each(Object.keys(np).filter(name => !others.has(name)))('%s takes numbers and lists', name => {
    const f = (np as unknown as Record<string, (...args: unknown[]) => unknown>)[name]
    const result = f(
      ...(lists[name] ?? (f.length > 1 || isBinary(name) ? [1, 1, 1].slice(0, Math.max(2, f.length)) : [1])),
    )
    expect(result).toBeDefined()
  })

  itComputes({
    'a number alone is float32': [() => np.sin(0), 0],
    'lists take the dtype of the array beside them': [() => np.floorDivide(int(7, 8), [2, 3]), [3, 2]],
    'arrays in lists are stacked': [
      () => np.array([int(1, 2), int(3, 4)]),
      [
        [1, 2],
        [3, 4],
      ],
    ],
    'scalar arrays beside numbers': [() => np.array([np.sum([1, 2]), 5]), [3, 5]],
    'lists as indices are int32': [() => np.take([10, 20, 30], [-1, 0]), [30, 10]],
  })

  it('find their dtype', () => {
    expect(np.sin(3).dtype).toBe('float32')
    expect(np.add(int(1), [1, 2]).dtype).toBe('int32')
    expect(np.add(int(1), [0.5, 2]).dtype).toBe('float32')
    expect(np.array([int(1), int(2)]).dtype).toBe('int32')
    expect(np.array([1n, 2]).dtype).toBe('int64')
    expect(np.add(true, [false]).dtype).toBe('bool')
    expect(np.array([]).dtype).toBe('float32')
  })

  it('say what is wrong with a list', () => {
    const bad =
      (x: unknown): (() => Tensor) =>
      () =>
        np.array(x as number[])
    expect(bad(['a'])).toThrow('an array holds numbers, bigints, booleans and arrays, but entry [0] is the string "a"')
    expect(bad([1, null])).toThrow('entry [1] is null')
    expect(bad([[1], [undefined]])).toThrow('entry [1][0] is undefined')
    expect(bad({ a: 1 })).toThrow('the argument is a plain object')
    expect(bad(undefined)).toThrow()
    expect(bad([1, [2]])).toThrow('ragged')
    expect(bad([[1, 2], [3]])).toThrow('entry [1] is a list of 1, where the first has 2')
    expect(() => np.sin('a' as unknown as number)).toThrow('the argument is the string "a"')
    expect(() => np.array([int(1), int(1, 2)])).toThrow('arrays in one list need one shape, not i32[1], i32[2]')
  })

  it('say what does not fit an integer dtype', () => {
    expect(() => np.array([300], 'uint8')).toThrow('300 does not fit uint8 (0 to 255)')
    expect(() => np.maximum(int(1), -3e9)).toThrow('-3000000000 does not fit int32')
    expect(() => np.add(np.array([1], 'uint8'), -1)).toThrow('-1 does not fit uint8')
    expect(() => np.take([1, 2], [0.5])).toThrow('must be integers')
    expect(() => np.take([1, 2], np.array([0]))).toThrow('must be integers, not float32')
    expect(() => np.array([1]).get(np.array([0]))).toThrow('must be integers, not float32')
  })

  it('split in many parts are one program, traced or not', async () => {
    const program = makeProgram((x: Tensor) => np.split(x, 1000))(np.arange(2000))
    expect(program.equations.length).toBe(1000)
    let compiled = 0
    setBackend({
      ...referenceBackend,
      compile: (...args) => {
        compiled++
        return referenceBackend.compile(...args)
      },
    })
    const x = np.array(Array.from({ length: 2000 }, (_, i) => i))
    const parts = np.split(x, 1000)
    expect(await parts[999].numbers()).toEqual([1998, 1999])
    expect(compiled).toBe(1)
    setBackend(referenceBackend)
  })
})

/** Functions of two arrays that JavaScript says have one parameter or none. */
function isBinary(name: string): boolean {
  return ['clip', 'broadcastArrays', 'allclose', 'isclose'].includes(name)
}
