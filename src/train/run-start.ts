import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { FileError } from '../base/errors.js'
import { writeFileAtomically } from '../checkpoint/atomic.js'
import { errorCode, withPath } from '../checkpoint/files.js'
import { latestCheckpoint } from '../checkpoint/run-folder.js'
import { runFiles } from './run-files.js'

const schema = z.object({ config: z.unknown() })

/** The configuration of a run, as a checkpoint holds it. */
export type RunStart = z.infer<typeof schema>

/**
 * Writes `run.json` into the folder of a run that begins. Until the first checkpoint, it is the only record of the
 * run's configuration: a run that is killed before then can be started again from it.
 */
export async function writeRunStart(folder: string, start: RunStart): Promise<void> {
  const text = `${JSON.stringify(start, null, 2)}\n`
  await writeFileAtomically(join(folder, runFiles.start), async handle => handle.writeFile(text), { replace: true })
}

/** Begins a run in a folder: writes `run.json`. Throws a FileError if the folder holds another run. */
export async function enterRunFolder(folder: string, start: RunStart): Promise<void> {
  const latest = await latestCheckpoint(folder)
  if (latest !== undefined)
    throw new FileError(`${latest}: the folder already holds a run: resume that run, or train in another folder`)
  await writeRunStart(folder, start)
}

/** Reads a folder's `run.json`. Undefined if there is none. */
export async function readRunStart(folder: string): Promise<RunStart | undefined> {
  const path = join(folder, runFiles.start)
  try {
    const parsed = schema.safeParse(JSON.parse(await withPath(path, () => readFile(path, 'utf8'))))
    if (parsed.success) return parsed.data
  } catch (error) {
    const code = errorCode((error as Error).cause)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (error instanceof FileError) throw error
  }
  throw new FileError(`${path}: this file is broken, so the run cannot be started again: remove the folder`)
}

/** Deletes `run.json`, once the first checkpoint holds the configuration. */
export const removeRunStart = (folder: string): Promise<void> => rm(join(folder, runFiles.start), { force: true })
