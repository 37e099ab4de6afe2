import { expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import { checkComplete } from './weights.js'

it('a mismatch lists at most ten names of each kind, and how many more there are', () => {
  const names = Array.from({ length: 1012 }, (_, i) => `w${i}`)
  const check = (missing: string[], surplus: string[]) => () =>
    checkComplete('folder', { missing, surplus, misshapen: [] })
  expect(check([], [])).not.toThrow()
  expect(check(names, ['a'])).toThrow(FileError)
  expect(check(names, ['a'])).toThrow(
    'missing: 1,012 ("w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9" and 1,002 more)',
  )
  expect(check(names.slice(0, 10), ['a'])).toThrow(/"w9"\)\n.*: 1 \("a"\)$/)
})
