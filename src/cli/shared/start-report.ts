import { countOf, formatCount } from '../../base/format.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import { declareAdapters } from '../../train/trainable/adapters.js'
import { isFrozen } from '../../train/trainable/freeze.js'
import type { Trainer } from '../../train/trainer.js'

/** Prints which parameters were restored from where, which ones are new, and the optimizer's state. */
export function describeStart({ config: { model, router, train, from }, restored }: Trainer): void {
  const { sources, initialised, unused } = restored!.plan
  const specs = declareParameters(model, router)
  const count = (paths: ReadonlySet<string>): string => {
    const chosen = specs.filter(spec => paths.has(spec.path))
    return `${formatCount(chosen.length)} of ${formatCount(specs.length)} tensors (${formatCount(countParameters(chosen))} parameters)`
  }
  const renamed = [...sources].filter(([path, source]) => path !== source)
  console.log(
    `restored ${count(new Set(sources.keys()))} from ${from!.path} (${from!.step > 0 ? `run, after ${countOf(from!.step, 'step')}` : from!.container})`,
  )
  if (renamed.length > 0)
    console.log(`  of these from other names: ${listed(renamed.map(([path, source]) => `${path} from ${source}`))}`)
  if (initialised.length > 0) console.log(`new: ${count(new Set(initialised))}: ${listed(initialised)}`)
  if (unused.length > 0) console.log(`not used: ${listed(unused)}`)
  if (train.lora.rank > 0) {
    const adapters = declareAdapters(specs, train.lora).filter(({ path }) => !isFrozen(train.freeze, path))
    const parameters = formatCount(countParameters(adapters))
    console.log(`trained: ${adapters.length / 2} adapters of rank ${train.lora.rank} (${parameters} parameters)`)
  } else if (train.freeze.length > 0) {
    const trained = specs.filter(({ path }) => !isFrozen(train.freeze, path))
    console.log(`trained: ${count(new Set(trained.map(spec => spec.path)))}; the others are frozen`)
  }
  console.log(
    restored!.optimizer === 'restored'
      ? `the state of the optimizer (${train.optimizer.kind}) is restored, after ${formatCount(from!.step)} updates`
      : `the state of the optimizer (${train.optimizer.kind}) is fresh`,
  )
}

const MOST_LISTED = 4

const listed = (items: readonly string[]): string =>
  items.length <= MOST_LISTED
    ? items.join(', ')
    : `${items.slice(0, MOST_LISTED).join(', ')} and ${formatCount(items.length - MOST_LISTED)} more`
