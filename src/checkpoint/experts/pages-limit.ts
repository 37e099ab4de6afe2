import { ConfigError } from '../../base/errors.js'
import { parseBytes } from '../../base/format.js'
import { freeDiskSpace } from '../disk-space.js'
import { bytesOfPages } from './page-cache.js'
import { quote } from '../format.js'

/** The environment variable that limits the experts of a model that are kept on disk, fetched or made from a seed. */
const LIMIT = 'SWITCHYARD_PAGES_LIMIT'

/** Without a limit of the user's: the part of the free disk that the experts of a model may take. */
const DEFAULT_SHARE = 0.5

/**
 * The most bytes that the experts of a model may take in a folder: what SWITCHYARD_PAGES_LIMIT says, such as 100GB, or
 * half of the disk space that is free without them.
 */
export async function pagesLimit(
  folder: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<number> {
  const text = env[LIMIT]
  if (!text) return DEFAULT_SHARE * ((await freeDiskSpace(folder)) + (await bytesOfPages(folder)))
  const bytes = parseBytes(text)
  if (bytes === undefined)
    throw new ConfigError(`${LIMIT} is ${quote(text)}: it must be a size with its unit, such as 100GB or 512MiB`)
  return bytes
}
