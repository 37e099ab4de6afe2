import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../../compile/reference/backend.js'
import type { Tensor } from '../tensor.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as np from '../np.js'
import { grad, makeProgram } from '../transforms.js'
import { itComputes, numbers } from '../../../../test/conformance/np.js'

beforeAll(() => {
  setBackend(referenceBackend)
})

/** The definition: a sum over all values of all indices. Operands hold 0, 1, 2, ... */
function bruteForce(terms: readonly string[], output: string, sizes: Record<string, number>): number[] {
  const letters = Object.keys(sizes)
  const place = (term: string, at: Record<string, number>): number =>
    [...term].reduce((n, l) => n * sizes[l] + at[l], 0)
  const result = new Array<number>([...output].reduce((n, l) => n * sizes[l], 1)).fill(0)
  const visit = (k: number, at: Record<string, number>): void => {
    if (k === letters.length) {
      result[place(output, at)] += terms.reduce((product, term) => product * place(term, at), 1)
      return
    }
    for (let i = 0; i < sizes[letters[k]]; i++) visit(k + 1, { ...at, [letters[k]]: i })
  }
  visit(0, {})
  return result
}

describe('einsum', () => {
  itComputes({
    'the diagonal': [() => np.einsum('ii->i', numbers(3, 3)), [0, 4, 8]],
    'the trace': [() => np.einsum('ii', numbers(3, 3)), 12],
    'axes in alphabetical order without ->': [
      () => np.einsum('ba', numbers(2, 3)),
      [
        [0, 3],
        [1, 4],
        [2, 5],
      ],
    ],
    'a repeated index apart': [() => np.einsum('iji->j', numbers(2, 3, 2)), [7, 11, 15]],
    'three operands': [
      () => np.einsum('ij,jk,kl->il', numbers(2, 3), numbers(3, 2), numbers(2, 2)),
      [
        [26, 49],
        [80, 148],
      ],
    ],
    'an ellipsis, broadcast, in an implicit output': [
      () => np.einsum('...ij,...jk', numbers(2, 2, 2), numbers(1, 2, 2)),
      [
        [
          [2, 3],
          [6, 11],
        ],
        [
          [10, 19],
          [14, 27],
        ],
      ],
    ],
    'an ellipsis after an index': [() => np.einsum('i...,i->...', numbers(2, 3), np.array([1, 2])), [6, 9, 12]],
    'a scalar operand': [() => np.einsum(',i->i', np.array(3), np.array([1, 2])), [3, 6]],
    'indices that only one operand has': [() => np.einsum('ij,kl->', numbers(2, 3), numbers(2, 3)), 225],
    'attention scores': [
      () => np.einsum('bqhd,bkhd->bhqk', numbers(1, 2, 2, 1), numbers(1, 2, 2, 1)),
      [
        [
          [
            [0, 0],
            [0, 4],
          ],
          [
            [1, 3],
            [3, 9],
          ],
        ],
      ],
    ],
  })

  it('is its definition, for any spec', async () => {
    const letter = fc.constantFrom('a', 'b', 'c', 'd')
    const spec = fc.array(fc.array(letter, { maxLength: 3 }), { minLength: 1, maxLength: 3 }).chain(terms => {
      const used = [...new Set(terms.flat())]
      return fc
        .tuple(
          fc.constant(terms.map(t => t.join(''))),
          fc.shuffledSubarray(used),
          fc.tuple(...used.map(() => fc.integer({ min: 1, max: 3 }))),
        )
        .map(([t, output, lengths]) => ({
          terms: t,
          output: output.join(''),
          sizes: Object.fromEntries(used.map((l, i) => [l, lengths[i]])),
        }))
    })
    await fc.assert(
      fc.asyncProperty(spec, async ({ terms, output, sizes }) => {
        const operands = terms.map(t => numbers(...[...t].map(l => sizes[l])))
        const got = np.einsum(`${terms.join(',')}->${output}`, ...operands)
        expect(got.shape).toEqual([...output].map(l => sizes[l]))
        expect(await got.numbers()).toEqual(bruteForce(terms, output, sizes))
      }),
      { numRuns: 300 },
    )
  })

  it('multiplies without broadcasting or masking', () => {
    const program = makeProgram((x: Tensor, y: Tensor) => np.einsum('bqhd,bkhd->bhqk', x, y))(
      numbers(2, 3, 4, 5),
      numbers(2, 6, 4, 5),
    )
    expect(program.equations.map(e => e.primitive)).toEqual(['dotGeneral'])
  })

  it('multiplies the cheapest pair first', () => {
    const program = makeProgram((x: Tensor, y: Tensor, z: Tensor) => np.einsum('ab,bc,c->a', x, y, z))(
      numbers(20, 20),
      numbers(20, 20),
      numbers(20),
    )
    expect(program.equations.map(e => e.outputs[0].aval.shape)).toEqual([[20], [20]])
  })

  it('has derivatives', async () => {
    const f = (x: Tensor): Tensor => np.einsum('ij,jk,ii->', x, numbers(2, 2), x)
    // sum_ij x_ii x_ij r_j, r = [1, 5] the row sums of the matrix: its derivative is x_ii r_j, and on the diagonal
    // sum_j x_ij r_j too.
    const x = np.array([
      [1, 2],
      [3, 4],
    ])
    expect(await grad(f)(x).numbers()).toEqual([1 + 11, 5, 4, 20 + 23])
    expect(await jit(grad(f))(x).numbers()).toEqual([1 + 11, 5, 4, 20 + 23])
  })

  it('says what is wrong', () => {
    const m = numbers(2, 3)
    expect(() => np.einsum('ij,jk->ik', m, m)).toThrow(
      "einsum('ij,jk->ik', f32[2,3], f32[2,3]): the index j has length 3 in one place and 2 in another",
    )
    expect(() => np.einsum('ii', m)).toThrow('the index i has length 2 in one place and 3 in another')
    expect(() => np.einsum('ij', m, m)).toThrow('the spec has 1 operands, got 2')
    expect(() => np.einsum('ijk', m)).toThrow("'ijk' names 3 axes of f32[2,3]")
    expect(() => np.einsum('ij->ik', m)).toThrow('the output has an index that no operand has')
    expect(() => np.einsum('ij->ii', m)).toThrow('an index repeats in the output')
    expect(() => np.einsum('i...->i', m)).toThrow("the output needs '...'")
    expect(() => np.einsum('i.j', m)).toThrow('the spec must read like')
  })
})
