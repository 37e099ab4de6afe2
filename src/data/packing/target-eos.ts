import { eosOf } from '../../base/special-ids.js'
import type { SpecialIds } from '../../base/special-ids.js'
import type { TextCodec } from '../../text/codec.js'

/** The EOS with which the vocabulary ends targets, and the model's own, which replaces it in training. */
export interface TargetEos {
  readonly vocabulary: number
  readonly model: number
}

/**
 * The EOS to replace at the end of targets: a model that does not end with its vocabulary's EOS would learn a token
 * that ends no answer. Undefined if the model ends with it.
 */
export function targetEosOf(
  { targets }: Pick<TextCodec, 'targets'>,
  { eosIds }: Pick<SpecialIds, 'eosIds'>,
): TargetEos | undefined {
  const [vocabulary, model] = [targets.eosId, eosOf(targets.eosId, eosIds)]
  return vocabulary === model ? undefined : { vocabulary, model }
}

/** Targets that end with the model's EOS where they ended with the vocabulary's; cut ones have none, and are kept. */
export function withModelEos(targets: Int32Array, eos: TargetEos | undefined): Int32Array {
  if (eos === undefined || targets.at(-1) !== eos.vocabulary) return targets
  const ended = targets.slice()
  ended[ended.length - 1] = eos.model
  return ended
}
