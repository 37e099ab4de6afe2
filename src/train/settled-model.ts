import { areT5s } from '../base/special-ids.js'
import type { TaskCodec } from '../data/task.js'
import type { ModelConfig } from '../model/config.js'
import { UNKNOWN_TEXT } from '../text/vocabulary.js'
import type { RunConfig } from './config.js'

/**
 * The settings of a new model, with those that follow from its targets' vocabulary and that its configuration leaves
 * open: the special ids, with padding as the token from which decoding starts, as in T5; and, as tokens that answers
 * never have, the ids that the vocabulary shows as an unknown token.
 */
export function settledModel(model: ModelConfig, { targets }: TaskCodec): ModelConfig {
  const { padId, eosId } = targets
  const specialIds = { padId, eosIds: [eosId], decoderStartId: padId }
  const suppressedIds = Array.from({ length: model.vocabSize }, (_, id) => id).filter(
    id => targets.decode([id]).trim() === UNKNOWN_TEXT,
  )
  return completed(model, {
    specialIds: areT5s(specialIds) ? undefined : specialIds,
    generation: suppressedIds.length === 0 ? undefined : { suppressedIds, ...model.generation },
  })
}

/**
 * The settings of a resumed run's model. What they leave open of the above is as in `saved`, the configuration in the
 * run's checkpoint.
 */
export const settledAs = (saved: unknown, model: ModelConfig): ModelConfig =>
  completed(model, { ...((saved ?? {}) as Partial<RunConfig>).model, ...model })

/**
 * A model with these settings where it leaves them open. They come last, as in a configuration that was read: a resumed
 * run writes the same bytes as one that was not stopped.
 */
const completed = (
  model: ModelConfig,
  { specialIds, generation }: Pick<ModelConfig, 'specialIds' | 'generation'>,
): ModelConfig => ({
  ...model,
  ...(specialIds && { specialIds: model.specialIds ?? specialIds }),
  ...(generation && { generation }),
})
