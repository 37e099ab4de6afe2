import { join } from 'node:path'
import * as z from 'zod'
import { FileError } from '../../base/errors.js'
import { writeFileAtomically } from '../atomic.js'
import { isFile, isPlainName, readSmallText } from '../files.js'
import { parseJson } from '../json.js'
import type { RemoteFile } from './listing.js'
import { isHubName } from './name.js'

const MAX_BYTES = 10_000_000

/** The files of weights of a model at a commit that are read on the hub by ranges, and not downloaded. */
export interface RemoteList {
  readonly repo: string
  readonly files: readonly RemoteFile[]
}

const schema = z.object({
  repo: z.string().refine(isHubName),
  files: z.array(
    z.object({
      name: z.string().refine(isPlainName),
      size: z.int().nonnegative(),
      etag: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/),
    }),
  ),
})

/** The folder of a model in the cache where ranges of its files are kept. Python's huggingface_hub leaves it alone. */
export const rangesFolder = (model: string): string => join(model, 'switchyard')

const listPath = (model: string, commit: string): string => join(rangesFolder(model), `${commit}.json`)

/** Reads the list of a commit; undefined if there is none. `model` is the folder of the model in the cache. */
export async function readRemoteList(model: string, commit: string): Promise<RemoteList | undefined> {
  const path = listPath(model, commit)
  if (!(await isFile(path))) return undefined
  const broken = (): FileError =>
    new FileError(`${path}: this is not the list of a model's files that Switchyard wrote: remove it`)
  const result = schema.safeParse(parseJson(await readSmallText(path, MAX_BYTES), broken))
  if (!result.success) throw broken()
  return result.data
}

export async function writeRemoteList(model: string, commit: string, list: RemoteList): Promise<void> {
  await writeFileAtomically(listPath(model, commit), handle => handle.writeFile(JSON.stringify(list)), {
    replace: true,
  })
}
