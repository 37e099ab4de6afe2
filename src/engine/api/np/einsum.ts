/** Einstein's summation. */
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Tensor, TensorLike } from '../tensor.js'
import { contract } from './contract.js'
import { asTensor, product } from './operands.js'

/**
 * Einstein's summation: `einsum('bqhd,bkhd->bhqk', queries, keys)` is the sum over d of queries[b,q,h,d] keys[b,k,h,d].
 *
 * Indices not in the output are summed over. An index repeated within an operand is its diagonal. '...' is any number
 * of axes, broadcast together. Without '->' the output has '...' and then, in alphabetical order, the indices that
 * occur once. Operands are converted to their common dtype. More than two operands are multiplied in pairs, the
 * cheapest pair first. The result of bool operands is bool. Throws a ShapeError when the spec does not fit the
 * operands. NumPy's other form of arguments, lists of axis numbers, is not supported.
 */
export function einsum(spec: string, ...given: readonly TensorLike[]): Tensor {
  const operands = given.map(asTensor)
  const fail = (message: string): string => `einsum('${spec}', ${operands.join(', ')}): ${message}`
  check(
    /^([a-zA-Z]*(\.\.\.)?[a-zA-Z]*)(,[a-zA-Z]*(\.\.\.)?[a-zA-Z]*)*(->[a-zA-Z]*(\.\.\.)?[a-zA-Z]*)?$/.test(
      spec.replaceAll(' ', ''),
    ),
    fail("the spec must read like 'ij,...jk->...ik'"),
  )
  const [left, right] = spec.replaceAll(' ', '').split('->')
  const terms = left.split(',')
  check(terms.length === operands.length, () => fail(`the spec has ${terms.length} operands, got ${operands.length}`))

  const letters = (term: string): string[] => [...term.replace('...', '')]
  const restOf = terms.map((term, i) => {
    const rest = operands[i].ndim - letters(term).length
    check(rest === 0 || (rest > 0 && term.includes('...')), () =>
      fail(`'${term}' names ${letters(term).length} axes of ${operands[i]}`),
    )
    return rest
  })
  const expand = (term: string, rest: number): string[] => {
    const [before, after] = term.includes('...') ? term.split('...') : [term, '']
    // The axes that '...' stands for are counted from the last, because they broadcast together.
    return [...before, ...ops.range(rest).map(i => `...${rest - i}`), ...after]
  }
  const mostRest = Math.max(0, ...restOf)
  const all = terms.flatMap(letters)
  const implicit = (): string =>
    `...${[...new Set(all)]
      .filter(l => all.indexOf(l) === all.lastIndexOf(l))
      .sort()
      .join('')}`
  const output = right ?? implicit()
  const named = letters(output)
  check(mostRest === 0 || output.includes('...'), fail("the output needs '...' for the axes that '...' stands for"))
  check(new Set(named).size === named.length, fail('an index repeats in the output'))
  check(
    named.every(l => all.includes(l)),
    fail('the output has an index that no operand has'),
  )

  const labels = terms.map((term, i) => expand(term, restOf[i]))
  try {
    return product(given, values =>
      contract(
        values.map((value, i) => ({ value, labels: labels[i] })),
        expand(output, mostRest),
      ),
    )
  } catch (error) {
    if (error instanceof Error) error.message = fail(error.message)
    throw error
  }
}
