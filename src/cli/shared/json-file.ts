import { extname } from 'node:path'
import { ConfigError } from '../../base/errors.js'

const endings = ['.jsonl', '.json', '.ndjson']

/** Throws a ConfigError unless a file's name is one for JSON Lines: another file could be overwritten by mistake. */
export function checkJsonFile(option: string, file: string): void {
  const ending = extname(file)
  if (endings.includes(ending.toLowerCase())) return
  throw new ConfigError(
    `${option} ${file}: JSON Lines are written, which other programs would not recognize under this name: ${option} ${file.slice(0, file.length - ending.length)}.jsonl`,
  )
}
