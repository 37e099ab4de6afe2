import { describe, expect, it } from 'vitest'
import { porterStem } from './porter.js'

describe('porterStem', () => {
  it('equals NLTK 3.9', () => {
    // prettier-ignore
    const stems = {
      caresses: 'caress', ponies: 'poni', dies: 'die', cats: 'cat', agreed: 'agre', feed: 'feed', plastered: 'plaster',
      bled: 'bled', died: 'die', spied: 'spi', sing: 'sing', hopping: 'hop', falling: 'fall', filing: 'file',
      happy: 'happi', enjoy: 'enjoy', spy: 'spi', relational: 'relat', radically: 'radic', geology: 'geolog',
      hopefully: 'hope', triplicate: 'triplic', adoption: 'adopt', opinion: 'opinion', rate: 'rate', cease: 'ceas',
      controlling: 'control', roll: 'roll', skies: 'sky', news: 'news', succeed: 'succeed', '1990s': '1990', aing: 'a',
    }
    expect(Object.fromEntries(Object.keys(stems).map(word => [word, porterStem(word)]))).toEqual(stems)
  })
})
