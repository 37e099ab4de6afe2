import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { TokenFile } from '../token-cache/token-file.js'
import { FlatSequences } from './flat-sequences.js'
import type { Sequences, SharedSequences } from './sequences.js'

/** A store as plain data for another thread. Nothing of it is copied: memory and files are shared. */
export interface SharedTokens {
  /** An example's inputs and targets. */
  readonly sequences: SharedSequences
  /** The indices of the examples among the sequences; undefined: all. */
  readonly kept: Uint32Array | undefined
  /** The lengths that examples are cut to; undefined: they are whole. */
  readonly cut: Readonly<Record<keyof TokenExample, number>> | undefined
}

/** Token examples in memory, or in a file of the cache. */
export class TokenStore implements Dataset<TokenExample> {
  /** `sequences` are those of `shared`, where they are open already. */
  constructor(
    readonly shared: SharedTokens,
    private readonly sequences: Sequences = openSequences(shared.sequences),
  ) {}

  get length(): number {
    return this.shared.kept?.length ?? this.sequences.length
  }

  /** The example's tokens, which may be views of the store: do not change them. */
  get(index: number): TokenExample {
    const { kept, cut } = this.shared
    const [inputs, targets] = this.sequences.get(kept === undefined ? index : kept[index])
    return cut === undefined
      ? { inputs, targets }
      : { inputs: inputs.subarray(0, cut.inputs), targets: targets.subarray(0, cut.targets) }
  }
}

const openSequences = (shared: SharedSequences): Sequences =>
  'handle' in shared ? new TokenFile(shared) : new FlatSequences(2, shared)
