import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { ConfigError, FileError } from '../../base/errors.js'
import type { SpecialIds } from '../../base/special-ids.js'
import { didYouMean, nearest } from '../../base/suggest.js'
import { formatBytes, formatCount, formatTable } from '../../base/format.js'
import { sizeOf } from '../../base/host-tensor.js'
import { HubError } from '../../checkpoint/hub/errors.js'
import { exists } from '../../checkpoint/atomic.js'
import { quantizedTypes } from '../../checkpoint/quantize.js'
import { findVocabulary } from '../../open/model-codec.js'
import type { VocabularyPlace } from '../../open/model-codec.js'
import { shippedModels } from '../../open/shipped-models.js'
import { openWeights } from '../../open/open-weights.js'
import type { OpenedWeights } from '../../open/open-weights.js'
import { runsFolder } from '../../checkpoint/run-folder.js'
import { didYouMeanPath } from '../../data/sources/similar-path.js'
import { recipes } from '../../config/recipes.js'
import { specialIdsOf, stackLayers } from '../../model/config.js'
import type { ModelConfig, RouterConfig } from '../../model/config.js'
import { generationSettings } from '../../model/generation-defaults.js'
import { rangeOfHf } from '../../checkpoint/names/hf-generation.js'
import { DEFAULT_NEW_TOKENS } from '../../infer/load.js'
import { forwardFlops } from '../../model/flops.js'
import { countActiveParameters, countParameters, declareParameters } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { presets } from '../../model/presets.js'
import { findFolder, findShipped, isOnHub } from '../shared/find-folder.js'
import { isPath } from '../shared/find-run.js'
import { findUserValues } from '../shared/user-config.js'
import { moduleFacts } from './sentence-modules.js'

export interface Inspected {
  readonly name: string
  readonly model: ModelConfig
  readonly router: RouterConfig
  /** How the folder stores the weights: container format and dtypes. */
  readonly stored?: string
  /** The most tokens of an answer, for weights of a run. */
  readonly maxNewTokens?: number
  /** Where the vocabulary of a folder is. */
  readonly vocabulary?: string
  /** How sentence-transformers makes vectors with it. */
  readonly modules?: readonly (readonly [name: string, value: string])[]
}

/**
 * The model of a preset, a recipe or a task (also of `switchyard.config.ts`), of any folder that `openWeights` opens,
 * or of the hub.
 */
export async function findModel(name: string): Promise<Inspected> {
  const known = presets.get(name) ?? (Object.hasOwn(recipes, name) ? recipes[name] : undefined)
  if (known !== undefined) return { name, model: known.model, router: known.router }
  if (!(await exists(name))) {
    const values = await findUserValues()
    if (values.runNames.includes(name)) {
      const { model, router } = (await values.runNamed(name)).config
      return { name, model, router }
    }
    const names = [...new Set([...presets.keys(), ...values.runNames, ...(await shippedModels())])]
    // On the hub, a model has the name of its preset after its owner's: google/switch-base-8.
    const word = name.slice(name.indexOf('/') + 1)
    if (await isOnHub(name)) return inspectFromHub(name, undefined, nearest(word, names))
    // The error for a folder that does not exist.
    if (isPath(name) && nearest(word, names) === undefined) return inspectWeights(name)
    const advice = didYouMean(word, names)
    throw new FileError(
      `there is no preset, recipe, task or folder ${name}; ${await didYouMeanPath(name, advice, name.includes('/') || advice.startsWith('there') ? [runsFolder] : [], names)}`,
    )
  }
  return inspectWeights(name)
}

/** Downloads a model of the hub. If the hub has none of this name, the error names the preset that is like it. */
async function inspectFromHub(name: string, revision: string | undefined, similar?: string): Promise<Inspected> {
  try {
    return { ...(await inspectWeights(await findFolder(name, revision))), name }
  } catch (error) {
    if (!(error instanceof HubError) || similar === undefined) throw error
    throw new HubError(`${error.message}; did you mean ${similar}?`, { cause: error })
  }
}

async function inspectWeights(folder: string): Promise<Inspected> {
  const weights = await openWeights(folder, { onNotice: message => console.error(message) })
  await weights.close()
  const { path, model, router, texts } = weights
  return {
    name: path,
    model,
    router,
    stored: storedAs(weights),
    maxNewTokens: texts?.maxNewTokens,
    vocabulary: describePlace(await findVocabulary(weights)),
    modules: await moduleFacts(folder),
  }
}

function describePlace(place: VocabularyPlace): string {
  switch (place.kind) {
    case 'saved':
      return 'in the checkpoint'
    case 'files':
      return place.files.join(', ')
    case 'assumed':
      return "none in the folder; T5's is used, as the folder's name says"
    case 'none':
      return 'none: infer, eval and finetune need one beside the weights'
  }
}

/**
 * As `findModel`; for the name of a model that comes with the package, first that model, then what else has the name.
 */
export async function findModels(name: string, revision?: string): Promise<Inspected[]> {
  if (revision !== undefined) {
    if (!(await isOnHub(name)))
      throw new ConfigError(`${name} is no model of the Hugging Face hub: --revision is for those`)
    return [await inspectFromHub(name, revision)]
  }
  const shipped = await findShipped(name)
  if (shipped === undefined) return [await findModel(name)]
  const own = { ...(await inspectWeights(shipped)), name: `${name}, the model that comes with Switchyard` }
  if (!presets.has(name) && !(await findUserValues()).runNames.includes(name)) return [own]
  return [own, { ...(await findModel(name)), name: `${name}, as train makes it` }]
}

/**
 * `huggingface, bfloat16 (247,577,856 parameters), float32 (12,288 parameters)`, the dtype of most parameters first.
 */
function storedAs({ container, specs, bits }: OpenedWeights): string {
  const counts = new Map<string, { tensors: number; elements: number }>()
  for (const spec of specs) {
    const type = bits && quantizedTypes(spec, bits) ? `int${bits}` : spec.dtype
    const count = counts.get(type) ?? { tensors: 0, elements: 0 }
    counts.set(type, { tensors: count.tensors + 1, elements: count.elements + sizeOf(spec.shape) })
  }
  const types = [...counts].sort(([, a], [, b]) => b.elements - a.elements)
  return [container, ...types.map(([type, { tensors }]) => `${type} (${formatCount(tensors)} parameters)`)].join(', ')
}

/** A description of a model as text: sizes, FLOPs and the tree of parameters. No weights are read. */
export function describeModel(inspected: Inspected): string {
  const { name, model, router, stored: storage, vocabulary, modules = [] } = inspected
  const specs = declareParameters(model, router)
  const total = countParameters(specs)
  const flops = forwardFlops(specs)
  const stored: DType[] = ['float32', 'bfloat16', 'int8']
  const sparse = (['encoder', 'decoder'] as const)
    .map(stack => stackLayers(model, stack))
    .map(layers => `${layers.filter(l => l.sparse).length} of ${layers.length}`)
  const facts = [
    ...(storage === undefined ? [] : [['stored as', storage]]),
    ...modules,
    ...(model.numExperts > 0
      ? [['experts', `${formatCount(model.numExperts)} in ${sparse[0]} encoder and ${sparse[1]} decoder layers`]]
      : []),
    ['parameters', formatCount(total)],
    ['active per token', formatCount(countActiveParameters(specs))],
    ...stored.map(dtype => [
      `bytes in ${dtype}`,
      `${formatCount(total * dtypes[dtype].bytes)} (${formatBytes(total * dtypes[dtype].bytes)})`,
    ]),
    ['FLOPs per input token', `${formatCount(flops.input)} forward, ${formatCount(3 * flops.input)} in training`],
    ['FLOPs per target token', `${formatCount(flops.target)} forward, ${formatCount(3 * flops.target)} in training`],
    ['and for each token attended to', `${formatCount(4 * model.numHeads * model.headDim)} in every attention`],
    ...(vocabulary === undefined ? [] : [['vocabulary', vocabulary]]),
    ['special ids', describeIds(specialIdsOf(model))],
    ...(storage === undefined || model.numDecoderLayers === 0
      ? []
      : [['generates by default with', describeDefaults(inspected)]]),
  ]
  return `${name}\n\n${facts.map(([what, value]) => `  ${what.padEnd(34)}${value}`).join('\n')}\n\n${formatTree(specs)}`
}

function describeIds({ padId, eosIds, decoderStartId, forcedFirstIds, forcedLastIds }: SpecialIds): string {
  return [
    `padding ${padId}`,
    `EOS ${eosIds.join(' or ')}`,
    `decoder start ${decoderStartId}`,
    ...(forcedFirstIds === undefined ? [] : [`first token ${forcedFirstIds.join(' or ')}`]),
    ...(forcedLastIds === undefined ? [] : [`last token of the longest answers ${forcedLastIds.join(' or ')}`]),
  ].join(', ')
}

/**
 * The defaults by the names of their settings: `maxNewTokens 19, topK 50 (if tokens are sampled), numBeams 4`. Settings
 * that have no effect are named as generation_config.json names them.
 */
function describeDefaults({ model: { generation = {} }, maxNewTokens }: Inspected): string {
  const { unsupported, maxNewTokens: own, ...defaults } = generation
  const most = maxNewTokens ?? own
  const condition = (name: string): string => {
    const { of } = generationSettings[name as keyof typeof generationSettings]
    return of === 'sampling' && !defaults.doSample ? ' (if tokens are sampled)' : ''
  }
  return [
    `maxNewTokens ${most ?? `${DEFAULT_NEW_TOKENS} (the model does not say)`}`,
    ...Object.entries(defaults).map(([name, value]) => `${name} ${shortened(JSON.stringify(value))}${condition(name)}`),
    ...Object.entries(unsupported ?? {}).map(([key, text]) => {
      const range = rangeOfHf(key)
      return range === undefined ? `${key} (not supported)` : `${key} (not used: ${shortened(text)} is not ${range})`
    }),
  ].join(', ')
}

/** At most 60 characters of a value: models may suppress thousands of tokens. */
const shortened = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 57)}...`)

/**
 * The parameters by part and layer. Layers of a stack with equal parameters are listed once: `encoder/layers_1,3,5`.
 */
function formatTree(specs: readonly ParameterSpec[]): string {
  const parts = new Map<string, ParameterSpec[]>()
  for (const spec of specs) {
    const { stack, layer } = spec.place
    const part = layer === null ? spec.path.slice(0, spec.path.indexOf('/')) : `${stack}/layers_${layer}`
    parts.set(part, [...(parts.get(part) ?? []), spec])
  }
  const alike = new Map<string, string[]>()
  for (const [part, members] of parts) {
    const key = part.split('_')[0] + members.map(({ path, shape }) => ` ${path.slice(part.length)}[${shape}]`).join('')
    alike.set(key, [...(alike.get(key) ?? []), part])
  }
  return formatTable(
    [...alike.values()].flatMap(([first, ...others]) => {
      const heading = [first, ...others.map(part => part.slice(part.lastIndexOf('_') + 1))].join(',')
      const rows = parts
        .get(first)!
        .map(({ path, shape }) => [
          `    ${path.slice(first.length + 1)}`,
          `[${shape.join(', ')}]`,
          formatCount(sizeOf(shape)),
        ])
      return [[`  ${heading}`, '', ''], ...rows]
    }),
  )
}
