import type { MessagePort } from 'node:worker_threads'
import type { VocabularySpec } from '../../text/vocabulary.js'

/** What a worker thread that encodes texts begins with. */
export interface EncoderInput {
  readonly vocabularies: readonly VocabularySpec[]
  readonly port: MessagePort
  /** Element 0 grows by one with each answer, which wakes the thread that waits for it. */
  readonly answers: Int32Array
}

/** Texts to encode: a list for each vocabulary. */
export interface TextsToEncode {
  readonly chunk: number
  readonly texts: readonly (readonly string[])[]
}

/** A message that needs no answer: sending it shows whether the worker still runs. */
export type Ping = 'ping'

/** What a worker says: the ids of texts, or why it cannot encode any. */
export type EncoderAnswer = EncodedTexts | { readonly error: string }

/** Their ids, for each vocabulary: those of all texts, and where each text's ids end. */
export interface EncodedTexts {
  readonly chunk: number
  readonly encoded: readonly { readonly ids: Int32Array; readonly ends: Int32Array }[]
}
