import { expect, it } from 'vitest'
import { formatTable } from './format.js'

it('formatTable aligns numbers at the right, also beside cells without a value', () => {
  expect(
    formatTable([
      ['layer', 'share'],
      ['a', '1.5%'],
      ['b', '-'],
      ['c', ''],
      ['d', '12.5%'],
    ]),
  ).toBe(['layer  share', 'a       1.5%', 'b      -', 'c', 'd      12.5%'].join('\n'))
  expect(
    formatTable([
      ['a', '5'],
      ['b', '1,000'],
    ]),
  ).toBe(['a      5', 'b  1,000'].join('\n'))
})

it('formatTable aligns answers at the left, also those that are numbers', () => {
  expect(
    formatTable([
      ['predicted', 'truth'],
      ['42', 'right'],
      ['forty', 'wrong: 7'],
      ['1,000', '8'],
    ]),
  ).toBe(['predicted  truth', '42         right', 'forty      wrong: 7', '1,000      8'].join('\n'))
})
