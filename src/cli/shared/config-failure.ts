import { readFile } from 'node:fs/promises'
import { ConfigError } from '../../base/errors.js'
import { errorCode } from '../../base/system-errors.js'

/** The error of a `switchyard.config.ts` that cannot be run: the file and line of the fault, and the fault itself. */
export async function configFailure(path: string, error: unknown): Promise<ConfigError> {
  const message = error instanceof Error ? error.message : String(error)
  // A syntax error of jiti: `ParseError: Unexpected token` and, on a line of its own, FILE:LINE:COLUMN.
  const syntax = /^ParseError: (.*?)\s*\n\s*(\S.*:\d+:\d+)\s*$/s.exec(message)
  const [what, place] =
    syntax !== null
      ? [`syntax error: ${syntax[1]}`, syntax[2]]
      : errorCode(error) === 'MODULE_NOT_FOUND'
        ? [message.split('\n')[0], await placeOfImport(error as Error & { requireStack?: string[] })]
        : [error instanceof Error ? `${error.name}: ${message}` : message, placeIn(error)]
  const where = place === undefined || place.startsWith(`${path}:`) ? '' : `${place}: `
  return new ConfigError(`${where === '' ? (place ?? path) : path}: cannot be run: ${where}${what}`, { cause: error })
}

/**
 * The place of the first frame of the stack that is neither Node's nor a package's: without its column, which in a
 * file's first line is that of the translated text.
 */
const placeIn = (error: unknown): string | undefined =>
  error instanceof Error
    ? /^ +at (?:.*\()?(?!node:|.*node_modules)([^\s()]+\.[mc]?[jt]s:\d+):\d+\)?$/m.exec(error.stack ?? '')?.[1]
    : undefined

/** The line that imports a module that does not exist. */
async function placeOfImport({
  message,
  requireStack,
}: Error & { requireStack?: string[] }): Promise<string | undefined> {
  const name = /^Cannot find module '([^']+)'/.exec(message)?.[1]
  const file = requireStack?.[0]
  if (name === undefined || file === undefined) return file
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n')
  const line = lines.findIndex(text => text.includes(name))
  return line < 0 ? file : `${file}:${line + 1}`
}
