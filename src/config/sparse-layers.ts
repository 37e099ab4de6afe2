import { ConfigError } from '../base/errors.js'
import type { StackName } from '../model/config.js'
import { everyNthLayer, nthOf } from '../model/sparse-layers.js'

/** Short for `encoderSparseLayers` and `decoderSparseLayers`: every n-th layer of a stack, or none for 0. */
export interface SparseRules {
  readonly encoderSparseEvery?: number
  readonly decoderSparseEvery?: number
}

type Settings = { readonly [key: string]: unknown }

interface StackSettings {
  readonly layers: string
  readonly sparse: string
  readonly every: string
}

const settingsOfStack: Readonly<Record<StackName, StackSettings>> = {
  encoder: { layers: 'numEncoderLayers', sparse: 'encoderSparseLayers', every: 'encoderSparseEvery' },
  decoder: { layers: 'numDecoderLayers', sparse: 'decoderSparseLayers', every: 'decoderSparseEvery' },
}
const stacks = Object.values(settingsOfStack)

/** The paths of `SparseRules`, with the path of the list that each stands for. */
export const sparseRulePaths: ReadonlyMap<string, string> = new Map(
  stacks.map(({ every, sparse }) => [`model.${every}`, `model.${sparse}`]),
)

/** The paths of the lists of sparse layers, with that of the stack's number of layers. */
export const sparseListPaths: ReadonlyMap<string, string> = new Map(
  stacks.map(({ sparse, layers }) => [`model.${sparse}`, `model.${layers}`]),
)

/**
 * The settings of a model after changes, where `SparseRules` among them have become lists. If the number of a stack's
 * layers is changed, and its list is not, a list of every n-th layer becomes that of the new number. `changed` are the
 * names of the settings that were changed. Throws a ConfigError if a rule is no whole number.
 */
export function withSparseLists(before: Settings, after: Settings, changed: ReadonlySet<string>): Settings {
  return stacks.reduce((model: Settings, stack) => {
    const { [stack.every]: given, ...rest } = model
    if (given !== undefined) return { ...rest, [stack.sparse]: listOf(stack, given, model[stack.layers]) }
    if (changed.has(stack.sparse) || !isCount(before[stack.layers]) || !isCount(model[stack.layers])) return model
    const n = nthOf(before[stack.sparse] as readonly number[], before[stack.layers] as number)
    return n === undefined ? model : { ...model, [stack.sparse]: everyNthLayer(model[stack.layers] as number, n) }
  }, after)
}

/**
 * The settings of a model as older versions saved them, where `SparseRules` have become lists. A list that is there as
 * well wins, as it did in those versions.
 */
export function withoutSparseRules(saved: Settings): Settings {
  return stacks.reduce((model: Settings, stack) => {
    const { [stack.every]: given, ...rest } = model
    // The schema reports a rule that is no number, as it does any unknown setting.
    if (!isCount(given)) return model
    return { ...rest, [stack.sparse]: model[stack.sparse] ?? listOf(stack, given, model[stack.layers]) }
  }, saved)
}

/** The list of a rule. The schema has a message for a number of layers that is no number. */
function listOf({ every }: StackSettings, n: unknown, layers: unknown): number[] {
  if (!isCount(n))
    throw new ConfigError(`model.${every}: must be a whole number of 0 or more, got ${JSON.stringify(n)}`)
  return isCount(layers) ? everyNthLayer(layers, n) : []
}

/** Whether a value may be a number of layers. */
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 10_000
