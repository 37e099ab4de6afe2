import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { nearest } from '../../base/suggest.js'

/**
 * An existing path that a path which does not exist was probably meant to be: of a similar name in the same folder, the
 * same name in a folder of a similar name, or for a plain name the same or a similar one in one of `folders`.
 */
export async function similarPath(path: string, folders: readonly string[] = []): Promise<string | undefined> {
  const [folder, name] = [dirname(path), basename(path)]
  const names = await namesIn(folder)
  if (names !== undefined) {
    const near = nearest(name, names)
    if (near !== undefined) return join(folder, near)
  } else {
    const similar = await similarPath(folder)
    if (similar !== undefined) return findIn(similar, name)
  }
  if (folder !== '.') return undefined
  for (const other of folders) {
    const found = await findIn(other, name)
    if (found !== undefined) return found
  }
  return undefined
}

async function findIn(folder: string, name: string): Promise<string | undefined> {
  const names = (await namesIn(folder)) ?? []
  const found = names.includes(name) ? name : nearest(name, names)
  return found === undefined ? undefined : join(folder, found)
}

/** Undefined if there is no such folder. */
const namesIn = (folder: string): Promise<string[] | undefined> => readdir(folder).catch(() => undefined)

/**
 * The end of a message about a path that does not exist: `did you mean texts/a.tsv?`, or `otherwise`. `folders` are as
 * in `similarPath`.
 */
export async function didYouMeanPath(path: string, otherwise: string, folders?: readonly string[]): Promise<string> {
  const similar = await similarPath(path, folders)
  return similar === undefined ? otherwise : `did you mean ${similar}?`
}
