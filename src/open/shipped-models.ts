/** The models that come with the package: small ones, each in our own format, with a card beside the weights. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { native } from '../checkpoint/native.js'
import { exists } from '../checkpoint/atomic.js'
import { namesIn } from '../checkpoint/files.js'

const folder = fileURLToPath(new URL('../../assets/models', import.meta.url))

/** The names of the models that come with the package. `from`: the folder that they are in. */
export async function shippedModels(from = folder): Promise<string[]> {
  const names = await namesIn(from).catch(() => [])
  const found = await Promise.all(
    names.sort().map(async name => ((await native.detect(join(from, name))) ? [name] : [])),
  )
  return found.flat()
}

/** The folder of the model with this name that comes with the package; undefined if there is none. */
export const shippedModel = async (name: string, from = folder): Promise<string | undefined> =>
  (await shippedModels(from)).includes(name) ? join(from, name) : undefined

/** The path of a model if it exists, or else the folder of the model of this name that comes with the package. */
export const pathOrShipped = async (path: string, from = folder): Promise<string> =>
  (await exists(path)) ? path : ((await shippedModel(path, from)) ?? path)
