import { formatBytes, formatCount } from '../base/format.js'
import { parseRunConfig } from '../config/validate.js'
import { proveResume } from '../train/proof.js'
import { Exit } from './exit.js'
import { findFolder } from './find-folder.js'
import { onInterrupt } from './interrupt.js'
import { showProgress } from './progress.js'

/** The number of differences that are printed. */
const shown = 10

/** Proves to the user that resuming a run is exact. Exits with code 1 if it is not. */
export async function prove(path: string): Promise<void> {
  const run = await findFolder(path)
  const interruption = onInterrupt(() => console.log('\nstopping'))
  let progress: ReturnType<typeof showProgress> | undefined
  try {
    const proof = await proveResume(run, config => parseRunConfig(config, `the configuration in ${run}`), {
      signal: interruption.signal,
      onNotice: message => console.error(message),
      onStart: (from, to) => {
        console.log(`training ${run} again from step ${from} to step ${to}, in a scratch folder; the run is only read`)
        progress = showProgress(to, 'examples')
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
