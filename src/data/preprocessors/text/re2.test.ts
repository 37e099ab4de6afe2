import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../../base/errors.js'
import { compileRe2, replaceRe2 } from './re2.js'

const replace = (pattern: string, text: string, rewrite: string, all?: boolean): string =>
  replaceRe2(compileRe2(pattern, 'test'), text, rewrite, all)

describe('replaceRe2', () => {
  it('replaces all matches or the first one, with groups', () => {
    expect(replace('(a)(b)?', 'abaXa', '<\\2\\1\\0>')).toBe('<baab><aa>X<aa>')
    expect(replace('(a)(b)?', 'abaXa', '<\\1>', false)).toBe('<a>aXa')
    expect(replace('b*', 'abc😀', '-')).toBe('-a-c-😀-')
    expect(replace('^a', 'aa', '-')).toBe('-a')
  })

  it('ends a rewrite at a bad escape, and does nothing if a group is missing', () => {
    expect(replace('a', 'xay', '\\\\1\\q2')).toBe('x\\1y')
    expect(replace('a', 'xay', '1\\')).toBe('x1y')
    expect(replace('a', 'xay', '1\\q2', false)).toBe('xay')
    expect(replace('(a)', 'xay', '\\2')).toBe('xay')
  })

  it('knows ASCII classes only', () => {
    expect(replace('\\W', 'é_1 ', '.')).toBe('._1.')
    expect(replace('\\s', 'a\u00a0b\v \t', '.')).toBe('a\u00a0b\v..')
  })

  it('takes linear time, whatever the pattern is', () => {
    const started = performance.now()
    expect(replace('(a|aa|a?)*$x', 'a'.repeat(5000), '')).toHaveLength(5000)
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it('refuses what is no regular expression', () => {
    expect(() => compileRe2('(', 'wsc: the span "("')).toThrow(ConfigError)
    expect(() => compileRe2('(', 'wsc: the span "("')).toThrow('wsc: the span "("')
  })
})
