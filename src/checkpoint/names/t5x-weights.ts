import { SwitchyardError } from '../../base/errors.js'
import { sameShape } from '../../engine/program/aval.js'
import type { ModelConfig, RouterConfig } from '../../model/config.js'
import { declareParameters } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { CheckpointReader, TensorEntry } from '../format.js'
import { t5x } from '../t5x/t5x.js'
import { checkComplete, parameterEntries, refuseCustomRouter, storedSpecs } from '../weights.js'
import type { Weights } from '../weights.js'
import { configFromT5x } from './t5x-config.js'
import { t5xParameters, t5xSource } from './t5x.js'

/**
 * Opens the weights of a T5X checkpoint, `checkpoint_<step>`. It holds no configuration: `configFromT5x` describes what
 * is assumed.
 */
export async function openT5xWeights(path: string): Promise<Weights> {
  const checkpoint = await t5x.open(path)
  try {
    return weightsOf(path, t5xParameters(checkpoint))
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}

function weightsOf(path: string, reader: CheckpointReader): Weights {
  const infos = new Map(reader.list().map(info => [info.name, info]))
  const { model, router } = configFromT5x(reader.list(), path)
  const declared = new Map(declareParameters(model, router).map(spec => [spec.path, spec]))
  const specs = [...declared.values()]
  checkComplete(path, {
    missing: specs.flatMap(spec => (infos.has(spec.path) ? [] : spec.path)),
    surplus: [...infos.keys()].filter(name => !declared.has(name)),
    misshapen: specs.flatMap(spec => {
      const shape = infos.get(spec.path)?.shape
      return shape === undefined || sameShape(shape, spec.shape)
        ? []
        : `${spec.path} is [${shape}] instead of [${spec.shape}]`
    }),
  })
  const unknown = (name: string): SwitchyardError =>
    new SwitchyardError(`${path}: there is no parameter ${name} in this model`)
  return {
    path,
    container: t5x.name,
    model,
    router,
    specs: storedSpecs(model, router, spec => infos.get(spec.path)!.dtype),
    read: async name => {
      if (!declared.has(name)) throw unknown(name)
      return reader.read(name)
    },
    readExpert: async (name, expert) => {
      if (!declared.has(name)) throw unknown(name)
      return reader.readPart!(name, expert)
    },
    close: () => reader.close(),
  }
}

/** Settings that a reader of the checkpoint chooses: dtype and order of operations, and the scale of new kernels. */
const ownSettings: readonly string[] = ['dtype', 'reference', 'initScale']

/**
 * What to say of a model that is to be written as a T5X checkpoint, which holds no settings: those that are not as
 * `openT5xWeights` assumes them.
 */
export function t5xNotices({ path, model, router, specs }: Weights): string[] {
  const infos = specs.map(spec => ({ name: spec.path, dtype: spec.dtype, shape: spec.shape }))
  const assumed = configFromT5x(infos, path)
  const settings = (config: object): [string, unknown][] => Object.entries(config)
  // Every model of Hugging Face has a topK, which matters only to a user who asks for sampling.
  const { topK: _, ...defaults } = model.generation ?? {}
  const said = { ...model, ...(Object.keys(defaults).length === 0 && { generation: undefined }) }
  const lost = [
    ...settings(said).map(([name, value]) => ({ name, value, other: assumed.model[name as keyof ModelConfig] })),
    ...(model.numExperts > 0 ? settings(router) : []).map(([name, value]) => ({
      name,
      value,
      other: assumed.router[name as keyof RouterConfig],
    })),
  ].filter(({ name, value, other }) => !ownSettings.includes(name) && JSON.stringify(value) !== JSON.stringify(other))
  const [kept, ids] = [lost.filter(({ name }) => !isOfTexts(name)), lost.filter(({ name }) => isOfTexts(name))]
  return [
    ...(ids.length > 0
      ? ["the format t5x cannot hold this model's special ids and generation defaults: T5's will be read"]
      : []),
    ...(kept.length > 0
      ? [
          `the format t5x cannot hold these settings, which will be read as T5X's: ${kept.map(({ name, value, other }) => `${name} ${String(value)} (read as ${String(other)})`).join(', ')}`,
        ]
      : []),
  ]
}

const isOfTexts = (name: string): boolean => name === 'specialIds' || name === 'generation'

/**
 * Writes weights as a T5X checkpoint without optimizer state, and `files` (a vocabulary) beside them. T5X itself
 * requires the folder's name to be `checkpoint_<step>`.
 */
export async function writeT5xWeights(
  path: string,
  weights: Weights,
  options: { dtype?: ParameterSpec['dtype']; step?: number; files?: Readonly<Record<string, Uint8Array>> } = {},
): Promise<void> {
  refuseCustomRouter(weights, "T5X's format")
  const infos = weights.specs.map(spec => ({ name: spec.path, dtype: options.dtype ?? spec.dtype, shape: spec.shape }))
  async function* entries(): AsyncGenerator<TensorEntry> {
    for (const spec of weights.specs) yield* parameterEntries(weights, spec, options.dtype ?? spec.dtype)
  }
  await t5x.write(path, t5xSource({ infos, entries: entries() }, options.step ?? 0), { files: options.files })
}
