import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { FileError } from '../base/errors.js'
import { writeFileAtomically } from '../checkpoint/atomic.js'
import { errorCode, withPath } from '../checkpoint/files.js'

const name = 'run.json'

const schema = z.object({ config: z.unknown() })

/** The configuration of a run, as a checkpoint holds it. */
export type RunStart = z.infer<typeof schema>

/**
 * Writes `run.json` into the folder of a run that begins. Until the first checkpoint it is the record of what the run is, so
 * that a run that is killed before can be begun again.
 */
export async function writeRunStart(folder: string, start: RunStart): Promise<void> {
  const text = `${JSON.stringify(start, null, 2)}\n`
  await writeFileAtomically(join(folder, name), async handle => handle.writeFile(text), { replace: true })
}

/** Undefined if the folder has no `run.json`. */
export async function readRunStart(folder: string): Promise<RunStart | undefined> {
  const path = join(folder, name)
  try {
    const parsed = schema.safeParse(JSON.parse(await withPath(path, () => readFile(path, 'utf8'))))
    if (parsed.success) return parsed.data
  } catch (error) {
    const code = errorCode((error as Error).cause)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (error instanceof FileError) throw error
  }
  throw new FileError(`${path}: this is not the start of a run as Switchyard writes it: remove the folder`)
}

/** The first checkpoint takes its place. */
export const removeRunStart = (folder: string): Promise<void> => rm(join(folder, name), { force: true })
