import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { Utf8Stream } from '../stream.js'
import { bytesOfToken } from './byte-level.js'
import { matcherOf } from './patterns.js'
import { prependScheme } from './pre-tokenizers.js'
import { characterIn, flatSteps, textIn, unsupported, wrongSetting } from './steps.js'
import type { Step } from './steps.js'

/** Receives a token, in one or several parts. `ends`: it is the last part. */
type Push = (text: string, ends: boolean) => void

/** Changes a list of tokens, one at a time. */
interface TokenStream {
  readonly push: Push
  /** After the last token. */
  readonly end: () => void
}

/** Makes a stream that gives its tokens to `emit`. */
type Decoder = (emit: Push) => TokenStream

const KIND = 'decoder'
/** A few steps that each double a text would fill the memory. */
const MAX_TEXT = 2 ** 24
const nothing = (): void => {}

/** A decoder that treats whole tokens; `push` is called with a token and how many came before it. */
const whole =
  (
    make: (emit: (token: string) => void) => { push: (token: string, index: number) => void; end?: () => void },
  ): Decoder =>
  emit => {
    const { push, end = nothing } = make(token => emit(token, true))
    let token = ''
    let index = 0
    return {
      push: (text, ends) => {
        token += text
        if (!ends) return
        push(token, index++)
        token = ''
      },
      end,
    }
  }

/** A decoder that changes each token by itself. */
const each = (change: (token: string, index: number) => string): Decoder =>
  whole(emit => ({ push: (token, index) => emit(change(token, index)) }))

/** Joins tokens by spaces, where a file has no decoder. */
const joined = each((token, index) => (index > 0 ? ` ${token}` : token))

/** The decoders of a tokenizer.json by their types. */
const decoders: Record<string, (step: Step) => Decoder> = {
  Metaspace: step => {
    const replacement = characterIn(step, 'replacement', KIND, '\u2581')
    const space = prependScheme(step, KIND) === 'never' ? ' ' : ''
    return emit => {
      let isFirst = true
      return {
        push: (text, ends) => {
          emit(text.replaceAll(replacement, isFirst ? space : ' '), ends)
          if (ends) isFirst = false
        },
        end: nothing,
      }
    }
  },
  ByteLevel: () => emit => {
    const utf8 = new Utf8Stream()
    const stream = whole(() => ({
      push: token => {
        for (const byte of bytesOfToken(token)) emit(utf8.push(byte), false)
      },
      end: () => emit(utf8.flush(), true),
    }))
    return stream(emit)
  },
  WordPiece: step => {
    const prefix = textIn(step, 'prefix', KIND, '##')
    return each((token, index) => {
      const spaced = index === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`
      return step.cleanup === false ? spaced : cleanUp(spaced)
    })
  },
  BPEDecoder: step => {
    const suffix = textIn(step, 'suffix', KIND, '</w>')
    if (suffix === '') throw wrongSetting(KIND, step, 'suffix', 'a text that is not empty')
    return whole(emit => {
      let last: string | undefined
      return {
        push: token => {
          if (last !== undefined) emit(last.replaceAll(suffix, ' '))
          last = token
        },
        end: () => {
          if (last !== undefined) emit(last.replaceAll(suffix, ''))
        },
      }
    })
  },
  CTC: step => {
    const pad = textIn(step, 'pad_token', KIND, '<pad>')
    const delimiter = textIn(step, 'word_delimiter_token', KIND, '|')
    if (pad === '') throw wrongSetting(KIND, step, 'pad_token', 'a text that is not empty')
    if (delimiter === '') throw wrongSetting(KIND, step, 'word_delimiter_token', 'a text that is not empty')
    return whole(emit => {
      let last: string | undefined
      return {
        push: token => {
          if (token === last) return
          last = token
          const text = token.replaceAll(pad, '')
          const clean = step.cleanup === false ? text : cleanUp(text).replaceAll(delimiter, ' ')
          if (clean !== '') emit(clean)
        },
      }
    })
  },
  ByteFallback: () => whole(byteFallback),
  Fuse: () => emit => ({ push: text => emit(text, false), end: () => emit('', true) }),
  Replace: step => {
    const matches = matcherOf(step, KIND)
    const content = textIn(step, 'content', KIND)
    return each(token => {
      let result = ''
      let last = 0
      for (const [from, to] of matches(token)) {
        result += token.slice(last, from) + content
        last = to
      }
      if (result.length > MAX_TEXT)
        throw new ConfigError(
          `the decoder "Replace" of the tokenizer.json makes ${formatCount(result.length)} characters of one text: it is broken, so use another vocabulary`,
        )
      return result + token.slice(last)
    })
  },
  Strip: strip,
}

/** Bytes one after another are a text if they are UTF-8 as a whole; if not, each of them is U+FFFD. */
const byteFallback = (emit: (token: string) => void): { push: (token: string) => void; end: () => void } => {
  let bytes: number[] = []
  const flush = (): void => {
    if (bytes.length === 0) return
    try {
      emit(new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(Uint8Array.from(bytes)))
    } catch {
      for (let i = 0; i < bytes.length; i++) emit('\ufffd')
    }
    bytes = []
  }
  return {
    push: token => {
      const byte = byteOfToken(token)
      if (byte !== undefined) bytes.push(byte)
      else {
        flush()
        emit(token)
      }
    },
    end: flush,
  }
}

/** The byte of a token such as `<0x41>`. */
function byteOfToken(token: string): number | undefined {
  const code = /^<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>$/u.exec(token)?.[1]
  return code === undefined ? undefined : Number.parseInt(code, 16)
}

/** Removes up to `start` characters `content` at the start of each token, and up to `stop` at its end. */
function strip(step: Step): Decoder {
  const content = characterIn(step, 'content', KIND)
  const [start, stop] = [step.start ?? 0, step.stop ?? 0].map(Number)
  if (!Number.isInteger(start) || start < 0) throw wrongSetting(KIND, step, 'start', 'a number of characters')
  if (!Number.isInteger(stop) || stop < 0) throw wrongSetting(KIND, step, 'stop', 'a number of characters')
  const size = content.length
  const atEnd = each(token => {
    let end = token.length
    for (let i = 0; i < stop && token.endsWith(content, end); i++) end -= size
    return token.slice(0, Math.max(0, end))
  })
  return emit => {
    let left = start
    const after = stop === 0 ? { push: emit, end: nothing } : atEnd(emit)
    return {
      push: (text, ends) => {
        let from = 0
        for (; left > 0 && text.startsWith(content, from); left--) from += size
        if (from < text.length) left = 0
        after.push(text.slice(from), ends)
        if (ends) left = start
      },
      end: after.end,
    }
  }
}

/** Removes spaces before punctuation and in English contractions. */
const cleanUp = (text: string): string =>
  text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re")

/** A decoder that gives the tokens of each step to the next one. */
function decoderFrom(step: Step): Decoder {
  const all = flatSteps(step, 'decoders', KIND).map(each => {
    if (!Object.hasOwn(decoders, each.type)) throw unsupported(KIND, each)
    return decoders[each.type](each)
  })
  return emit =>
    all.reduceRight<TokenStream>(
      (after, decoder) => {
        const { push, end } = decoder(after.push)
        return {
          push,
          end: () => {
            end()
            after.end()
          },
        }
      },
      { push: emit, end: nothing },
    )
}

/** Decodes tokens one by one: each call returns the text that is complete. */
export interface TokenDecoder {
  push(token: string): string
  end(): string
}

/**
 * Makes decoders of a tokenizer.json's step; without a step, tokens are joined by spaces. Throws a ConfigError that
 * names a step that is not supported.
 */
export function decoderOf(step: Step | null | undefined): () => TokenDecoder {
  const decoder = step === null || step === undefined ? joined : decoderFrom(step)
  return () => {
    let text = ''
    const { push, end } = decoder(part => {
      text += part
    })
    const taken = (): string => {
      const result = text
      text = ''
      return result
    }
    return {
      push: token => {
        push(token, true)
        return taken()
      },
      end: () => {
        end()
        return taken()
      },
    }
  }
}

/** The bytes of tokens that may be parts of characters, as a tokenizer.json's decoder reads them. */
export function bytesReadBy(step: Step | null | undefined): (token: string) => Uint8Array | undefined {
  const types = step ? flatSteps(step, 'decoders', KIND).map(({ type }) => type) : []
  if (types.includes('ByteLevel')) return token => Uint8Array.from(bytesOfToken(token))
  if (!types.includes('ByteFallback')) return () => undefined
  return token => {
    const byte = byteOfToken(token)
    return byte === undefined ? undefined : Uint8Array.of(byte)
  }
}
