import { readFileSync } from 'node:fs'

/** The version of this library, as its package.json has it. */
export const libraryVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version
