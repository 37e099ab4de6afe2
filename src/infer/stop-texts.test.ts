import { expect, it } from 'vitest'
import { StopTexts } from './stop-texts.js'

/** What remains of a text whose parts have the given length, and its parts as they become known. */
function cut(text: string, stops: readonly string[], length: number): { text: string; parts: string[] } {
  const cutter = new StopTexts(stops)
  const parts: string[] = []
  for (let i = 0; i < text.length; i += length) parts.push(cutter.push(text.slice(i, i + length)))
  parts.push(cutter.end())
  return { text: parts.join(''), parts }
}

it.each([1, 2, 3, 5, 100])('cuts a text before the first stop text, in parts of %i characters', length => {
  expect(cut('one two three', ['two'], length).text).toBe('one ')
  expect(cut('one two three', ['four', 'three', 'three!'], length).text).toBe('one two ')
  expect(cut('one abcd', ['abcd', 'c', 'bc'], length).text).toBe('one a')
  expect(cut('aabaac', ['aac'], length).text).toBe('aab')
  expect(cut('a stop', ['stop'], length).text).toBe('a ')
  expect(cut('a sto', ['stop'], length).text).toBe('a sto')
  expect(cut('anything', [], length).text).toBe('anything')
})

it('holds back text that may begin a stop text, and no more', () => {
  expect(cut('xababc', ['abc', 'bd'], 1).parts).toEqual(['x', '', '', 'ab', '', '', ''])
  expect(cut('aaa', ['aaaa'], 1).parts).toEqual(['', '', '', 'aaa'])
})
