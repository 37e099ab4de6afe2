import { workerData } from 'node:worker_threads'
import { vocabularyFromJSON } from '../../text/from-json.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { EncodedTexts, EncoderAnswer, EncoderInput, Ping, TextsToEncode } from './encoding-messages.js'

// A worker thread of `encodeAhead`: it encodes texts until it is terminated.
const { vocabularies: specs, port, answers } = workerData as EncoderInput

try {
  const vocabularies = specs.map(vocabularyFromJSON)
  port.on('message', (message: TextsToEncode | Ping) => {
    if (message === 'ping') return
    try {
      const answer = encode(vocabularies, message)
      send(
        answer,
        answer.encoded.flatMap(({ ids, ends }) => [ids.buffer as ArrayBuffer, ends.buffer as ArrayBuffer]),
      )
    } catch (error) {
      fail(error)
    }
  })
} catch (error) {
  fail(error)
}

function encode(vocabularies: readonly Vocabulary[], { chunk, texts }: TextsToEncode): EncodedTexts {
  const encoded = texts.map((list, v) => {
    const each = list.map(text => vocabularies[v].encode(text))
    const ends = new Int32Array(each.length)
    let total = 0
    for (const [i, ids] of each.entries()) ends[i] = total += ids.length
    const ids = new Int32Array(total)
    for (const [i, own] of each.entries()) ids.set(own, ends[i] - own.length)
    return { ids, ends }
  })
  return { chunk, encoded }
}

/** The thread that waits for answers sees no error events, so an error is an answer too. */
function fail(error: unknown): void {
  send({ error: error instanceof Error ? error.message : String(error) })
}

function send(answer: EncoderAnswer, transferred: readonly ArrayBuffer[] = []): void {
  port.postMessage(answer, transferred)
  Atomics.add(answers, 0, 1)
  Atomics.notify(answers, 0)
}
