import { describe, expect, it } from 'vitest'
import { pythonFloat, pythonInt, pythonLower, pythonSplit, pythonStrip, pythonWholeWords } from './python-text.js'

/** Expected values are those of Python 3.11. */
describe('Python text functions', () => {
  it('read numbers as float() does', () => {
    // prettier-ignore
    const floats: [string, number | undefined][] = [
      ['3.4', 3.4], [' 2 ', 2], ['.5', 0.5], ['5.', 5], ['1.e5', 1e5], ['+7', 7], ['-1e-400', -0], ['1e400', Infinity],
      ['1_000', 1000], ['1_0.0_1e+1_0', 10.01e10], ['１.２', 1.2], ['٣.١٤', 3.14], ['𝟙𝟘', 10], ['\xa05\u3000', 5],
      ['nan', NaN], ['-NaN', NaN], ['inf', Infinity], ['-Infinity', -Infinity],
      ['', undefined], ['.', undefined], ['1e', undefined], ['1__0', undefined], ['_1', undefined], ['1_', undefined],
      ['1_.0', undefined], ['1._0', undefined], ['0x10', undefined], ['1,5', undefined], ['infinit', undefined],
      ['²', undefined], ['\x1c5', undefined], ['\ufeff5', undefined], ['1 2', undefined],
    ]
    for (const [text, value] of floats) expect(pythonFloat(text), text).toBe(value)
  })

  it('read whole numbers as int() does', () => {
    expect(['007', '-1_0', '٣', ' 4\n'].map(pythonInt)).toEqual([7, -10, 3, 4])
    expect(['1.0', '²', '1__0', 'one', ''].map(pythonInt)).toEqual(Array(5).fill(undefined))
  })

  it('split at Python white space', () => {
    expect(pythonSplit('\x1ca\x85b \u2028c\ufeffd\xa0')).toEqual(['a', 'b', 'c\ufeffd'])
    expect(pythonStrip('\x1f\u3000a b\x85')).toBe('a b')
    expect(pythonSplit('')).toEqual([])
  })

  it('lower-case with the full Unicode mapping', () => {
    expect(pythonLower('ΑΣ ΣΑ ẞ İ ǅ')).toBe('ας σα ß i̇ ǆ')
  })

  it('find whole words of any script, to which combining marks do not belong', () => {
    const articles = (text: string): string => text.replace(pythonWholeWords('a|an|the'), '#')
    expect(articles('a-an the étude a l’an 日a a日 a_ a\u0301')).toBe('#-# # étude # l’# 日a a日 a_ #\u0301')
  })
})
