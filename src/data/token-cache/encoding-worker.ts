import { workerData } from 'node:worker_threads'
import { vocabularyFromJSON } from '../../text/from-json.js'
import type { EncodedTexts, EncoderInput, TextsToEncode } from './encoding-messages.js'

// A worker thread of `encodeAhead`: it encodes texts until it is terminated.
const { vocabularies: specs, port, answers } = workerData as EncoderInput
const vocabularies = specs.map(vocabularyFromJSON)

port.on('message', ({ chunk, texts }: TextsToEncode) => {
  const encoded = texts.map((list, v) => {
    const each = list.map(text => vocabularies[v].encode(text))
    const ends = new Int32Array(each.length)
    let total = 0
    for (const [i, ids] of each.entries()) ends[i] = total += ids.length
    const ids = new Int32Array(total)
    for (const [i, own] of each.entries()) ids.set(own, ends[i] - own.length)
    return { ids, ends }
  })
  const answer: EncodedTexts = { chunk, encoded }
  port.postMessage(
    answer,
    encoded.flatMap(({ ids, ends }) => [ids.buffer, ends.buffer]),
  )
  Atomics.add(answers, 0, 1)
  Atomics.notify(answers, 0)
})
