import { ConfigError } from '../base/errors.js'
import type { ModelConfig } from '../model/config.js'

/** Throws a ConfigError unless there are token ids, and all are ids of the model. */
export function checkIds(name: string, ids: readonly number[], { vocabSize }: Pick<ModelConfig, 'vocabSize'>): void {
  const wrong = ids.find(id => !Number.isInteger(id) || id < 0 || id >= vocabSize)
  if (wrong !== undefined)
    throw new ConfigError(`${name} has the token id ${wrong}: ids are whole numbers from 0 to ${vocabSize - 1}`)
  if (ids.length === 0) throw new ConfigError(`${name} has no tokens: it needs at least one`)
}
