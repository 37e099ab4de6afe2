import { stat } from 'node:fs/promises'
import { glob, isDynamicPattern } from 'tinyglobby'
import { FileError } from '../../base/errors.js'
import { withPath } from '../../base/system-errors.js'
import { similarPath } from './similar-path.js'

/** A path, a glob pattern (`data/*.jsonl`, `shards/part-{0..9}.csv.gz`), or several of them. */
export type FilePatterns = string | readonly string[]

/**
 * The files that the patterns name, in the order of the patterns; the files of one pattern in the order of their names.
 * A path that exists is taken as it is, whatever characters it holds. Throws a FileError if a pattern names no file.
 */
export async function findFiles(patterns: FilePatterns): Promise<string[]> {
  const files: string[] = []
  for (const pattern of typeof patterns === 'string' ? [patterns] : patterns) files.push(...(await matches(pattern)))
  return [...new Set(files)]
}

async function matches(pattern: string): Promise<string[]> {
  let cause: unknown
  const info = await stat(pattern).catch((error: unknown) => void (cause = error))
  if (info?.isFile()) return [pattern]
  if (info?.isDirectory())
    throw new FileError(`${pattern}: this is a folder: name its files, as in "${pattern.replace(/\/+$/, '')}/*.jsonl"`)
  if (info === undefined && isDynamicPattern(pattern)) {
    const found = await glob(pattern, { onlyFiles: true, expandDirectories: false })
    if (found.length === 0) throw new FileError(`${pattern}: no file matches this pattern`, { cause })
    return found.sort()
  }
  if (info === undefined) {
    const similar = await similarPath(pattern)
    if (similar !== undefined)
      throw new FileError(`${pattern}: there is no such file; did you mean ${similar}?`, { cause })
  }
  await withPath(pattern, () => stat(pattern))
  throw new FileError(`${pattern}: this is not a regular file`)
}
