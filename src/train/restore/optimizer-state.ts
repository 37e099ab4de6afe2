import { ConfigError } from '../../base/errors.js'
import type { RunConfig } from '../config.js'

/**
 * Throws a ConfigError if a run is to go on with the optimizer's state of another run (`from.optimizer=restored`) and
 * its settings give that state another form. `before` is the configuration of the other run, if it is known.
 */
export function checkOptimizerState({ train, from }: Pick<RunConfig, 'train' | 'from'>, before?: RunConfig): void {
  if (from?.optimizer !== 'restored') return
  const problem = problemOf(train, before?.train)
  if (problem !== undefined) throw new ConfigError(`from.optimizer=restored cannot be used here: ${problem}`)
}

const FRESH = 'leave out from.optimizer=restored'

function problemOf(now: RunConfig['train'], before: RunConfig['train'] | undefined): string | undefined {
  if (now.lora.rank > 0)
    return `the adapters of train.lora.rank=${now.lora.rank} are new, and so is their optimizer's state: ${FRESH}`
  if (before === undefined) return undefined
  if (before.lora.rank > 0)
    return `the run trained adapters (train.lora.rank=${before.lora.rank}), which are merged now, and its state is that of the adapters: ${FRESH}`
  if (kindOf(now) !== kindOf(before))
    return `the state is that of ${kindOf(before)}, and train.optimizer.kind is ${kindOf(now)}: leave out one of the two`
  if (now.averageDecay !== null && before.averageDecay === null)
    return `train.averageDecay=${now.averageDecay} needs an average of the parameters, which the run did not keep: leave out one of the two`
  if (now.averageDecay === null && before.averageDecay !== null)
    return `the run kept an average of its parameters, which is what it gives, and its state belongs to those before averaging: add train.averageDecay=${before.averageDecay}, or ${FRESH}`
  if (now.freeze.join() !== before.freeze.join())
    return `the run had train.freeze=${before.freeze.join()}, and this one has train.freeze=${now.freeze.join()}: set the same, or ${FRESH}`
  return undefined
}

const kindOf = ({ optimizer }: RunConfig['train']): string =>
  optimizer.kind === 'custom' ? optimizer.name : optimizer.kind
