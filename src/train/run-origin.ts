import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomically } from '../checkpoint/atomic.js'
import { runFiles } from './run-files.js'

const schema = z.object({
  base: z.string(),
  data: z.string().optional(),
  weights: z.string().optional(),
  baseline: z.string().optional(),
  set: z.array(z.string()).readonly(),
})

/**
 * What a run's configuration was made from: a recipe or a command, data, weights, and the settings that were given;
 * and the run that a distillation is compared with. `config explain` and the report of a distillation read it; training
 * does not.
 */
export type RunOrigin = z.infer<typeof schema>

/** Writes a run's `sources.json`. */
export async function writeOrigin(folder: string, origin: RunOrigin): Promise<void> {
  const text = `${JSON.stringify(origin, null, 2)}\n`
  await writeFileAtomically(join(folder, runFiles.origin), async handle => handle.writeFile(text), { replace: true })
}

/** Adds settings that were given when a run was resumed. */
export async function addSettings(folder: string, set: readonly string[]): Promise<void> {
  const origin = set.length > 0 ? await readOrigin(folder) : undefined
  if (origin !== undefined) await writeOrigin(folder, { ...origin, set: [...origin.set, ...set] })
}

/** The `sources.json` of a run, given by its folder or a checkpoint's. Undefined if there is none, or it is broken. */
export async function readOrigin(path: string): Promise<RunOrigin | undefined> {
  for (const folder of [path, dirname(path)]) {
    const text = await readFile(join(folder, runFiles.origin), 'utf8').catch(() => undefined)
    if (text === undefined) continue
    try {
      return schema.parse(JSON.parse(text))
    } catch {
      return undefined
    }
  }
  return undefined
}
