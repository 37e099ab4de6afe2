import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { ConfigError } from '../../../base/errors.js'
import { errorCode } from '../../../base/system-errors.js'

/**
 * The folder of an npm package that holds data. It is looked for from the working directory and from this package.
 * Throws a ConfigError with the command that installs it.
 */
export function dataPackage(name: string, what: string): string {
  const require = createRequire(import.meta.url)
  try {
    return dirname(require.resolve(`${name}/package.json`, { paths: [process.cwd(), import.meta.dirname] }))
  } catch (error) {
    if (errorCode(error) !== 'MODULE_NOT_FOUND') throw error
    throw new ConfigError(`${what} is in the npm package ${name}, which is not installed: npm install ${name}`, {
      cause: error,
    })
  }
}
