import { formatBytes, formatCount } from '../../base/format.js'
import { parseRunConfig } from '../../config/validate.js'
import { readCodec } from '../../data/task.js'
import { openCheckpoint } from '../../train/checkpointing.js'
import type { RunConfig } from '../../train/config.js'
import { currentJob } from '../../train/job/job.js'
import { proveResume } from '../../train/proof.js'
import type { TrainerValues } from '../../train/values.js'
import { Exit } from '../shared/exit.js'
import { findFolder } from '../shared/find-folder.js'
import { onInterrupt } from '../shared/interrupt.js'
import { openDevices } from '../shared/mesh.js'
import { showProgress } from '../shared/progress.js'
import { valuesOfRun } from '../shared/run-values.js'

/** The number of differences that are printed. */
const shown = 10

/** Proves to the user that resuming a run is exact. Exits with code 1 if it is not. */
export async function prove(path: string): Promise<void> {
  const run = await findFolder(path)
  const parse = (config: unknown): RunConfig => parseRunConfig(config, `the configuration in ${run}`)
  const values = await valuesOf(run, parse)
  const interruption = onInterrupt(() => console.log('\nstopping'))
  let progress: ReturnType<typeof showProgress> | undefined
  try {
    const proof = await proveResume(run, parse, {
      values,
      signal: interruption.signal,
      onNotice: message => console.error(message),
      onStart: (from, to, { units }) => {
        console.log(`training ${run} again from step ${from} to step ${to}, in a scratch folder; the run is only read`)
        progress = showProgress(to, units.many)
      },
      onProgress: p => progress?.show(p),
    })
    progress?.stop()
    if (proof === undefined) throw new Exit(130)
    const { from, to, tensors, bytes, records, differences } = proof
    console.log(
      `compared with the run's step ${to}: ${formatCount(tensors)} tensors (parameters and optimizer, ${formatBytes(bytes)}), ` +
        `${formatCount(records)} ${records === 1 ? 'record' : 'records'} of metrics.jsonl (without figures of speed), the position of the data`,
    )
    if (differences.length === 0) {
      console.log(`equal bit for bit: a run that resumes from step ${from} goes on as if it had not been stopped`)
      return
    }
    const more = differences.length - shown
    console.log(
      `not equal: ${formatCount(differences.length)} ${differences.length === 1 ? 'difference' : 'differences'}`,
    )
    for (const difference of differences.slice(0, shown)) console.log(`  ${difference}`)
    if (more > 0) console.log(`  and ${formatCount(more)} more`)
    throw new Exit(1)
  } finally {
    progress?.stop()
    interruption.stop()
  }
}

/**
 * The run's task and custom values, on the devices of its mesh. The hooks of `switchyard.config.ts` are left out:
 * nothing new is trained.
 */
async function valuesOf(run: string, parse: (config: unknown) => RunConfig): Promise<TrainerValues> {
  const checkpoint = await openCheckpoint(run, { job: currentJob() })
  await checkpoint.close()
  const config = parse(checkpoint.config)
  await openDevices(config)
  return (await valuesOfRun(config, readCodec(checkpoint.task))).values
}
