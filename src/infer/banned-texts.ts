import { ConfigError } from '../base/errors.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { banning } from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { RowStates } from './row-states.js'
import { TextFinder } from './text-finder.js'
import { tokenBytes } from './token-bytes.js'
import type { TokenBytes } from './token-bytes.js'

/**
 * Makes texts impossible, however they are cut into tokens: a token is impossible if the answer with it contains a
 * banned text that ends in the token. Throws a ConfigError for an empty text.
 */
export function banTexts(texts: readonly string[], vocabulary: Vocabulary): ScoreProcessor {
  if (texts.includes('')) throw new ConfigError('a banned text is empty: leave it out')
  const bytes = tokenBytes(vocabulary)
  const reader = texts.some(text => text.includes('\ufffd')) ? new ShownReader(texts) : new ByteReader(texts)
  const isFirst = (place: number): boolean => place === 1
  const states = new RowStates(reader.start, 1, (state, token, place) => {
    const { [token]: added } = isFirst(place) ? bytes.first : bytes.later
    return added ? reader.after(state, added) : reader.start
  })
  const [first, later] = [completing(reader, bytes.first), completing(reader, bytes.later)]
  return banning(tokens => (isFirst(tokens.length) ? first : later)(states.of(tokens)))
}

/** The tokens that complete a text after each state: finding those of a state takes 1 to 2 ms for T5's vocabulary. */
function completing(reader: ByteReader, ofTokens: TokenBytes['first']): (state: State) => readonly number[] {
  const known = new Map<string, readonly number[]>()
  return state => {
    const key = `${state.found} ${state.pending.join(' ')}`
    let ids = known.get(key)
    if (ids === undefined) {
      const found: number[] = []
      // A loop without closures: it is called for all tokens of the vocabulary.
      for (let id = 0; id < ofTokens.length; id++) {
        const { [id]: added } = ofTokens
        if (added && reader.finds(state, added)) found.push(id)
      }
      known.set(key, (ids = found))
    }
    return ids
  }
}

interface State {
  /** The state of the TextFinder. */
  readonly found: number
  /** The bytes of an incomplete character that the finder has not read. */
  readonly pending: Uint8Array
}

/** Finds texts in the bytes of answers. */
class ByteReader {
  readonly start: State = { found: 0, pending: new Uint8Array() }
  protected readonly finder: TextFinder

  constructor(texts: readonly string[]) {
    this.finder = new TextFinder(texts)
  }

  after({ found, pending }: State, added: Uint8Array): State {
    return { found: this.finder.after(found, added), pending }
  }

  /** Whether a text ends within the bytes of a next token. */
  finds({ found }: State, added: Uint8Array): boolean {
    return this.finder.finds(found, added)
  }
}

/** Finds texts in answers as they are shown, with U+FFFD for bytes that are no character. */
class ShownReader extends ByteReader {
  override after({ found, pending }: State, added: Uint8Array): State {
    const all = Uint8Array.of(...pending, ...added)
    const end = endOfWhole(all)
    return { found: this.finder.after(found, shown(all.subarray(0, end))), pending: all.subarray(end) }
  }

  override finds({ found, pending }: State, added: Uint8Array): boolean {
    return this.finder.finds(found, shown(Uint8Array.of(...pending, ...added)))
  }
}

const shown = (bytes: Uint8Array): Uint8Array =>
  new TextEncoder().encode(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes))

/** Where an incomplete character begins at the end of some UTF-8. */
function endOfWhole(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const { [bytes.length - back]: byte } = bytes
    if (byte < 0x80) break
    if (byte >= 0xc0) return back < (byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4) ? bytes.length - back : bytes.length
  }
  return bytes.length
}
