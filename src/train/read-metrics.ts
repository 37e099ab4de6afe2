import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError } from '../base/errors.js'
import { errorCode, withPath } from '../checkpoint/files.js'
import { runsFolder } from '../checkpoint/run-folder.js'
import { didYouMeanPath } from '../data/sources/similar-path.js'
import type { MetricsRecord } from './metrics-log.js'
import { runFiles } from './run-files.js'

/**
 * The records of a run, or of a `metrics.jsonl`, in the order of their steps. While a resumed run has not saved a
 * checkpoint, its new records take the place of the old ones from their first step on. A line that a crash has cut off
 * is left out.
 */
export async function readMetrics(path: string): Promise<MetricsRecord[]> {
  const info = await stat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (info === undefined)
    throw new FileError(
      `${path}: there is no such file or folder; ${await didYouMeanPath(path, "give a run's folder", [runsFolder])}`,
    )
  const isFolder = info.isDirectory()
  if (!isFolder) {
    const records = recordsOf(await withPath(path, () => readFile(path, 'utf8')))
    if (records.length > 0) return records
    throw new FileError(`${path}: has no records of a training; give the folder of a run, or its ${runFiles.metrics}`)
  }
  const old = await readRecords(path)
  const resumed = await recordsIn(join(path, runFiles.resumedMetrics))
  if (old.length + resumed.length === 0)
    throw new FileError(`${path}: has no records of a training (${runFiles.metrics}); give the folder of a run`)
  return [...old.filter(({ step }) => resumed.length === 0 || step < resumed[0].step), ...resumed]
}

/** The records of a run's `metrics.jsonl`. A last line that a crash has cut off is left out. */
export const readRecords = (folder: string): Promise<MetricsRecord[]> => recordsIn(join(folder, runFiles.metrics))

async function recordsIn(path: string): Promise<MetricsRecord[]> {
  try {
    return recordsOf(await readFile(path, 'utf8'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

function recordsOf(text: string): MetricsRecord[] {
  return text.split('\n').flatMap(line => {
    try {
      const record = JSON.parse(line) as MetricsRecord | null
      return typeof record?.step === 'number' ? [record] : []
    } catch {
      return []
    }
  })
}
