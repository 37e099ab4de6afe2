// The speed of T5's vocabulary: the time to load it, and tokens a second on 8,000 sentences of Brown, one thread. The
// first pass meets each word for the first time.
import { readFileSync } from 'node:fs'
import { SentencePieceVocabulary } from '../src/text/sentencepiece.js'
import { brownSentences } from './brown.js'

const SENTENCES = 8000

const sentences = brownSentences(SENTENCES)
const before = performance.now()
const t5 = SentencePieceVocabulary.fromModel(readFileSync('assets/t5-vocab/spiece.model'))
console.log(`load: ${((performance.now() - before) / 1000).toFixed(3)} s`)
for (let pass = 1; pass <= 5; pass++) {
  const start = performance.now()
  const tokens = sentences.reduce((sum, text) => sum + t5.encode(text).length, 0)
  const seconds = (performance.now() - start) / 1000
  console.log(`pass ${pass}: ${tokens} tokens, ${Math.round(tokens / seconds)} tokens/s`)
}
