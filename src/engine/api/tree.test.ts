import { describe, expect, it } from 'vitest'
import * as np from './np.js'
import type { Tensor } from './tensor.js'
import * as tree from './tree.js'

describe('tree', () => {
  const t = { b: [1, 2], a: { c: 3, d: null } }

  it('maps leaves, of one tree or of several', () => {
    expect(tree.map((x: number) => x * 2, t)).toEqual({ b: [2, 4], a: { c: 6, d: null } })
    expect(tree.map((x: number, y: number) => x - y, t, t)).toEqual({ b: [0, 0], a: { c: 0, d: null } })
    expect(tree.mapWithPath((path: string, x: number) => `${path}=${x}`, t)).toEqual({
      b: ['b/0=1', 'b/1=2'],
      a: { c: 'a/c=3', d: null },
    })
    expect(() => tree.map((x: number, y: number) => x - y, t, { b: [1, 2] })).toThrow('trees differ')
    expect(() => tree.map(undefined as unknown as (x: number) => number, t)).toThrow(
      'must be a function, not undefined',
    )
  })

  it('keeps the type of a tree of arrays', async () => {
    const params = { w: np.ones([2]), layers: [np.array(3)] }
    const updated = tree.map((p: Tensor, g: Tensor) => np.subtract(p, g), params, params)
    expect(await updated.w.numbers()).toEqual([0, 0])
    expect(await updated.layers[0].item()).toBe(0)
  })

  it('flattens, in the order of sorted keys, and back', () => {
    const [leaves, structure] = tree.flatten(t)
    expect(leaves).toEqual([3, 1, 2])
    expect(tree.leaves(t)).toEqual(leaves)
    expect(tree.leavesWithPaths(t).map(([path]) => path)).toEqual(['a/c', 'b/0', 'b/1'])
    expect(tree.unflatten(structure, leaves)).toEqual(t)
    expect(() => tree.unflatten(structure, [1])).toThrow('the structure has 3 leaves, got 1')
    expect(tree.sameStructure(t, { ...t })).toBe(true)
    expect(tree.sameStructure(t, { b: t.b })).toBe(false)
  })

  it('reduces, tests and transposes', () => {
    expect(tree.reduce((x: number, y: number) => x * 10 + y, t)).toBe(312)
    expect(tree.reduce((n: number, text: string) => n + text.length, ['a', 'b'], 0)).toBe(2)
    expect(() => tree.reduce((x: number, y: number) => x + y, [])).toThrow('needs an initial value')
    expect(tree.all((x: number) => x > 0, t)).toBe(true)
    const rows = [
      { x: 1, y: 2 },
      { x: 3, y: 4 },
    ]
    expect(tree.transpose(tree.structure([0, 0]), tree.structure({ x: 0, y: 0 }), rows)).toEqual({
      x: [1, 3],
      y: [2, 4],
    })
  })
})
