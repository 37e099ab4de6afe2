import type { Dataset } from '../dataset.js'
import { isCachePlaceholder } from '../pipeline.js'
import type { Fields, Preprocessor, PreprocessorContext } from '../preprocessor.js'
import { ENCODE } from '../preprocessors/encode-texts.js'
import { preprocessorKey } from '../preprocessors/seqio/map-preprocessor.js'
import { TOKENIZE } from '../preprocessors/seqio/tokenize.js'
import { MapSeedCounter } from '../random/seed-counter.js'
import type { SplitName } from '../example.js'
import { storeFields } from '../streams/field-store.js'
import type { StoredFields } from '../streams/field-store.js'
import { storeTokens } from './store-tokens.js'
import type { Stored } from './store-tokens.js'

export interface EncodedStagesOptions {
  /** The task's name, for messages. */
  readonly task: string
  readonly features: PreprocessorContext['features']
  /** Preprocessors that are not random. */
  readonly stages: readonly Preprocessor[]
}

/**
 * A task's examples after preprocessors that are not random. Those that encode text, and our own ones beside them,
 * are applied once, and the result is stored, in the cache if it takes long: `storeTokens`. Preprocessors before and
 * after them are applied in each run, because a user's functions may be among them.
 */
export class EncodedStages {
  private readonly stages: readonly Preprocessor[]
  /** The stages whose result is stored. */
  private readonly from: number
  private readonly to: number
  private readonly encoded = new Map<string, Stored>()
  private readonly results = new Map<string, StoredFields>()

  constructor(private readonly options: EncodedStagesOptions) {
    this.stages = options.stages.filter(stage => !isCachePlaceholder(stage))
    const encodes = (name: string): number => this.stages.findIndex(stage => stage.name === name)
    const isOwn = (i: number): boolean => i in this.stages && preprocessorKey(this.stages[i]) !== undefined
    let from = [TOKENIZE, 'tokenizeAndAppendEos', ENCODE].map(encodes).find(isOwn) ?? 0
    let to = from
    while (isOwn(to)) to++
    while (to > from && isOwn(from - 1)) from--
    this.from = from
    this.to = to
  }

  /** The examples of a split after all stages. `source` are those before. */
  stored(split: SplitName, source: Dataset<Fields>, lengths: PreprocessorContext['lengths']): StoredFields {
    const key = JSON.stringify([split, lengths])
    const known = this.results.get(key)
    if (known !== undefined) return known
    const { to, stages } = this
    const encoded = this.encode(split, source, lengths)
    const result =
      encoded !== undefined && to === stages.length
        ? encoded
        : storeFields(this.apply(encoded ?? source, encoded === undefined ? 0 : to, stages.length, lengths))
    this.results.set(key, result)
    return result
  }

  /** The stored examples after the stages that encode; undefined if they cannot be stored. */
  private encode(
    split: SplitName,
    source: Dataset<Fields>,
    lengths: PreprocessorContext['lengths'],
  ): StoredFields | undefined {
    const { from, to, stages, options, encoded } = this
    if (from === to) return undefined
    const withLengths = JSON.stringify([split, lengths])
    const known = encoded.get(split) ?? encoded.get(withLengths)
    if (known !== undefined) return known.examples
    const stored = storeTokens({
      name: `${options.task} (${split})`,
      source: this.apply(source, 0, from, lengths),
      stages: stages.slice(from, to),
      context: this.context(lengths),
    })
    if (stored !== undefined) encoded.set(stored.usesLengths ? withLengths : split, stored)
    return stored?.examples
  }

  private apply(
    examples: Dataset<Fields>,
    from: number,
    to: number,
    lengths: PreprocessorContext['lengths'],
  ): Dataset<Fields> {
    const context = this.context(lengths)
    return this.stages.slice(from, to).reduce((data, stage) => stage.apply(data, context), examples)
  }

  private context(lengths: PreprocessorContext['lengths']): PreprocessorContext {
    return { seeds: new MapSeedCounter(0), lengths, features: this.options.features }
  }
}
