import { readFile } from 'node:fs/promises'
import { ConfigError } from '../../base/errors.js'
import { withPath } from '../../checkpoint/files.js'

/** Where keys come from: options, an environment variable (separated by commas) and a file (one on each line). */
export interface KeySources {
  readonly given?: readonly string[]
  readonly variable: string
  readonly file?: string
}

/** The keys of all sources. Throws a ConfigError if the file has none: the server would be open to everyone. */
export async function readKeys({ given = [], variable, file }: KeySources): Promise<string[]> {
  const inEnvironment = process.env[variable]?.split(',').map(key => key.trim()) ?? []
  const inFile = file === undefined ? [] : linesOf(await withPath(file, () => readFile(file, 'utf8')))
  if (file !== undefined && inFile.length === 0) throw new ConfigError(`${file}: there is no key in this file`)
  return [...given, ...inEnvironment, ...inFile]
}

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
