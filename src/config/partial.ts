import * as z from 'zod'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { parseOverride, parseValue } from './overrides.js'
import { modelSchema, routerSchema } from './schema.js'
import { parseConfig, unknownSetting } from './validate.js'

/**
 * Some settings of a model. The remaining ones follow from its weights, for example from the shapes of its parameters.
 */
export interface PartialModel {
  model: Partial<ModelConfig>
  router: Partial<RouterConfig>
}

const schema = z.strictObject({ model: modelSchema.partial().default({}), router: routerSchema.partial().default({}) })
const known = [
  ...Object.keys(modelSchema.shape).map(key => `model.${key}`),
  ...Object.keys(routerSchema.shape).map(key => `router.${key}`),
]

/**
 * Checks settings that were read from a file (`what` names it), after overrides such as `router.maxGroupSize=8` were
 * applied.
 */
export function parsePartialModel(value: unknown, overrides: readonly string[], what: string): PartialModel {
  const settings = structuredClone(parseConfig(schema, value, what)) as { [group: string]: { [key: string]: unknown } }
  for (const [path, text] of overrides.map(parseOverride)) {
    if (!known.includes(path)) throw unknownSetting(path, known)
    const [group, key] = path.split('.')
    settings[group][key] = parseValue(text)
  }
  return parseConfig(schema, settings, 'the configuration')
}
