import { describe, expect, it } from 'vitest'
import { devicePositions, Mesh, NamedSharding, P, sameSharding, shardShape, shardStarts } from './sharding.js'
import type { SpecEntry } from './sharding.js'

const mesh = new Mesh({ data: 2, expert: 3 })
const on = (...entries: readonly SpecEntry[]): NamedSharding => new NamedSharding(mesh, P(...entries))

describe('a mesh', () => {
  it('numbers its devices in row-major order', () => {
    expect(mesh.size).toBe(6)
    expect(devicePositions(mesh)).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
      [1, 0],
      [1, 1],
      [1, 2],
    ])
  })

  it('refuses axes that are no words, or have no devices', () => {
    expect(() => new Mesh({ '2d': 2 })).toThrow('a mesh axis is named by a word, such as data, not "2d"')
    expect(() => new Mesh({ data: 0 })).toThrow('mesh axis data must have 1 device or more, not 0')
    expect(() => mesh.axisSize('model')).toThrow('mesh(data=2, expert=3) has no axis model')
  })
})

describe('the parts of an array', () => {
  it('split dimensions by the axes of the spec, the first the outermost', () => {
    expect(shardShape([4, 6, 5], on('data', 'expert'))).toEqual([2, 2, 5])
    expect(shardStarts([4, 6], on('data', 'expert'))).toEqual([
      [0, 0],
      [0, 2],
      [0, 4],
      [2, 0],
      [2, 2],
      [2, 4],
    ])
    expect(shardStarts([12], on(['data', 'expert'])).flat()).toEqual([0, 2, 4, 6, 8, 10])
    expect(shardStarts([12], on(['expert', 'data'])).flat()).toEqual([0, 4, 8, 2, 6, 10])
  })

  it('are copies along axes that the spec does not name', () => {
    expect(shardStarts([6], on('expert')).flat()).toEqual([0, 2, 4, 0, 2, 4])
    expect(shardShape([], on())).toEqual([])
  })

  it('must be equal in size, and have the dimensions and axes of the spec', () => {
    expect(() => shardShape([4, 5], on(null, 'expert'))).toThrow(
      'dimension 1 of the array [4,5] has 5 elements, which cannot be split evenly over the 3 devices of mesh axis expert: make it a multiple of 3, or leave it whole',
    )
    expect(() => shardShape([6], on('data', 'expert'))).toThrow(
      'P(data, expert) has 2 dimensions, but the array [6] has 1',
    )
    expect(() => shardShape([6], on('model'))).toThrow('mesh(data=2, expert=3) has no axis model')
    expect(() => P('data', 'data')).toThrow('a spec can split only one dimension over the mesh axis data')
  })
})

it('specs that say the same are equal', () => {
  expect(sameSharding(on('data', null), on(['data']))).toBe(true)
  expect(sameSharding(on('data'), on(null, 'data'))).toBe(false)
  expect(String(on(['data', 'expert'], null))).toBe('P((data, expert)) over mesh(data=2, expert=3)')
})
