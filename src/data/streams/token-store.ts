import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { FlatSequences } from './flat-sequences.js'
import type { StoredSequences } from './flat-sequences.js'

/** Token examples in flat arrays, which worker threads can share. */
export class TokenStore implements Dataset<TokenExample> {
  private readonly sequences: FlatSequences

  /** An empty store, or the store of another thread's arrays. */
  constructor(stored?: StoredSequences) {
    this.sequences = new FlatSequences(2, stored)
  }

  get length(): number {
    return this.sequences.length
  }

  get stored(): StoredSequences {
    return this.sequences.stored
  }

  add({ inputs, targets }: TokenExample): void {
    this.sequences.add([inputs, targets])
  }

  /** The example's tokens, as views of the store: do not change them. */
  get(index: number): TokenExample {
    const [inputs, targets] = this.sequences.get(index)
    return { inputs, targets }
  }
}
