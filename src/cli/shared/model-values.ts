import type { RunConfig } from '../../train/config.js'
import type { CustomModelValues } from '../../train/loss.js'

/**
 * The custom router and meaning of a model, from the configuration of the working folder, which is read only if the
 * model has one of them.
 */
export async function findModelValues(config: Pick<RunConfig, 'model' | 'router'>): Promise<CustomModelValues> {
  if (config.router.custom === undefined && config.model.customMeaning === undefined) return {}
  const { loadUserValues } = await import('./user-config.js')
  return (await loadUserValues()).modelValuesOf(config)
}
