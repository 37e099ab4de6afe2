import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { editDistance } from '../../base/edit-distance.js'
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
 * in `similarPath`. For a path in one of them, and for a plain name, it lists what is there, the nearest name first.
 * `names` are what may be given instead of a path: a similar one is proposed as well, before the path.
 */
export async function didYouMeanPath(
  path: string,
  otherwise: string,
  folders: readonly string[] = [],
  names: readonly string[] = [],
): Promise<string> {
  const similar = await similarPath(path, folders)
  const parent = dirname(path)
  const listed =
    parent === '.' ? folders : folders.some(folder => basename(parent) === basename(folder)) ? [parent] : []
  const there = await Promise.all(listed.map(folder => listFolder(folder, basename(path), similar)))
  const meant = [nearest(path, names), similar].filter(guess => guess !== undefined)
  const advice = meant.length === 0 ? otherwise : `did you mean ${meant.join(' or ')}?`
  return [advice, ...there.flat()].join(advice.endsWith('?') ? ' ' : '; ')
}

/** So many folders are listed. */
const MOST_LISTED = 6

/** A sentence with the folders in a folder, those whose names are nearest to `name` first, without `known`. */
async function listFolder(folder: string, name: string, known: string | undefined): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const names = entries
    .filter(entry => entry.isDirectory() && !entry.name.startsWith('.') && join(folder, entry.name) !== known)
    .map(entry => ({ name: entry.name, distance: editDistance(name, entry.name) }))
    .sort((a, b) => a.distance - b.distance)
    .map(entry => entry.name)
  if (names.length === 0) return []
  const more = names.length - MOST_LISTED
  const shown = names.slice(0, MOST_LISTED).join(', ')
  return [`${folder} has ${known === undefined ? '' : 'also '}${shown}${more > 0 ? ` and ${more} more` : ''}`]
}
