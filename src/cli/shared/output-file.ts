import { open, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { extname } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { makeParent } from '../../checkpoint/atomic.js'
import { withPath } from '../../checkpoint/files.js'

/** Writes a file that the user has named. Its folder is created if it does not exist, as that of a run is. */
export async function writeOutput(file: string, text: string): Promise<void> {
  await makeParent(file)
  await withPath(file, () => writeFile(file, text))
}

/** Opens a file that the user has named, to write it anew (`w`) or to go on (`a+`). Its folder is created as well. */
export async function openOutput(file: string, flags: 'w' | 'a+'): Promise<FileHandle> {
  await makeParent(file)
  return withPath(file, () => open(file, flags))
}

/** Throws a ConfigError unless a file's name is one for an SVG: a browser shows it as a picture in .html as well. */
export const checkPictureFile = (option: string, file: string): void =>
  checkEnding(option, file, 'the picture is drawn as SVG', ['.svg', '.html'])

/** Throws a ConfigError unless a file's name is one for JSON Lines: another file could be overwritten by mistake. */
export const checkJsonFile = (option: string, file: string): void =>
  checkEnding(option, file, 'JSON Lines are written', ['.jsonl', '.json', '.ndjson'])

/** The first ending is the one that is proposed. */
function checkEnding(option: string, file: string, what: string, endings: readonly string[]): void {
  const ending = extname(file)
  if (endings.includes(ending.toLowerCase())) return
  const proposed = `${file.slice(0, file.length - ending.length)}${endings[0]}`
  throw new ConfigError(
    `${option} ${file}: ${what}, which other programs would not recognize under this name: ${option} ${proposed}`,
  )
}
