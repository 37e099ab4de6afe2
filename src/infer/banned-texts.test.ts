import { expect, it, vi } from 'vitest'
import { loadT5Vocabulary } from '../data/vocabularies/load-vocabulary.js'
import { banTexts } from './banned-texts.js'

it('makes a text impossible with its space, without it, and in any other pieces', async () => {
  const t5 = await loadT5Vocabulary()
  const ban = banTexts(['house'], t5)
  const isBanned = (id: number, ...answer: number[]): boolean => {
    const scores = new Float32Array(t5.size)
    ban(scores, [0, ...answer])
    return scores[id] === -Infinity
  }
  const [withSpace, without] = [629, 1840]
  expect(t5.decode([withSpace])).toBe('house')
  expect([isBanned(withSpace), isBanned(without), isBanned(8)]).toEqual([true, true, false])
  const [space, h] = t5.encode('h')
  const ouse = t5.encode('xouse').slice(-2)
  expect(t5.decode([space, h, ...ouse])).toBe('house')
  expect(isBanned(ouse[1], space, h, ouse[0])).toBe(true)
  expect(isBanned(ouse[1], ouse[0])).toBe(false)
  expect(() => banTexts([''], t5)).toThrow(/empty/)
})

it('decodes the tokens of a vocabulary once', async () => {
  const t5 = await loadT5Vocabulary()
  banTexts(['house'], t5)
  const decode = vi.spyOn(t5, 'decode')
  banTexts(['cat'], t5)
  expect(decode).not.toHaveBeenCalled()
})
