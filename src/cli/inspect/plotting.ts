import { basename, resolve } from 'node:path'
import { plotCurves } from '../../train/curves.js'
import { checkPictureFile, writeOutput } from '../shared/output-file.js'
import { readMetrics } from '../../train/read-metrics.js'

/** Writes a picture of the curves of runs. Returns what was drawn, in a line. */
export async function plotRuns(paths: readonly string[], out: string, figures?: readonly string[]): Promise<string> {
  checkPictureFile('--out', out)
  const names = legendNames(paths)
  const runs = await Promise.all(paths.map(async (path, i) => ({ name: names[i], records: await readMetrics(path) })))
  const svg = plotCurves(runs, figures)
  await writeOutput(out, svg)
  const counts = runs.map(({ name, records }) => `${name} (${records.length} records)`)
  return `${out}: the curves of ${counts.join(', ')}`
}

/** The folders' names, or the whole paths if two are the same. */
function legendNames(paths: readonly string[]): readonly string[] {
  const names = paths.map(path => basename(resolve(path)))
  return new Set(names).size === names.length ? names : paths
}
