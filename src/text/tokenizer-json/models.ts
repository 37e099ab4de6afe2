import { ConfigError } from '../../base/errors.js'
import { bpe } from './bpe.js'
import type { TableModel } from './schema.js'
import { wordLevel, wordPiece } from './table-models.js'
import type { Model } from './table-models.js'

/** A BPE, WordPiece or WordLevel model. Throws a ConfigError for settings that are not supported. */
export function tableModel(model: TableModel, ids: ReadonlyMap<string, number>): Model {
  switch (model.type) {
    case 'BPE': {
      if ((model.dropout ?? 0) !== 0)
        throw new ConfigError(
          `the BPE model of the tokenizer.json has the dropout ${model.dropout}, with which ids are random: set it to null`,
        )
      return bpe(
        { ids, unknown: model.unk_token ?? undefined },
        {
          merges: model.merges.map(merge => (typeof merge === 'string' ? pairOf(merge) : merge)),
          continuingSubwordPrefix: model.continuing_subword_prefix ?? '',
          endOfWordSuffix: model.end_of_word_suffix ?? '',
          fuseUnk: model.fuse_unk ?? false,
          byteFallback: model.byte_fallback ?? false,
          ignoreMerges: model.ignore_merges ?? false,
        },
      )
    }
    case 'WordPiece':
      return wordPiece(
        { ids, unknown: model.unk_token ?? '[UNK]' },
        model.continuing_subword_prefix ?? '##',
        model.max_input_chars_per_word ?? 100,
      )
    case 'WordLevel':
      return wordLevel({ ids, unknown: model.unk_token ?? '<unk>' })
  }
}

/** A merge in the form of older files. */
function pairOf(merge: string): [string, string] {
  const parts = merge.split(' ')
  if (parts.length !== 2)
    throw new ConfigError(
      `the merge ${JSON.stringify(merge)} of the tokenizer.json must be two tokens with a space between them`,
    )
  return [parts[0], parts[1]]
}
