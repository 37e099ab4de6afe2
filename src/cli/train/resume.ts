import { Command } from 'commander'
import { ConfigError } from '../../base/errors.js'
import { withMeshOption } from '../shared/mesh.js'
import { collectSettings } from '../shared/options.js'

interface ResumeOptions {
  set: string[]
  prove?: true
  printConfig?: true
}

export const resumeCommand = (): Command =>
  withMeshOption(new Command('resume'))
    .description('continue a run from its latest checkpoint, exactly as if it had not been stopped')
    .argument('[run]', 'the run, such as runs/g2p (default: the latest under runs/)')
    .option('--set <path=value>', 'change a setting, such as train.steps=300; may be given again', collectSettings, [])
    .option('--print-config', 'print the settings and stop')
    .option(
      '--prove',
      'show that resuming is exact: train again from the second to last checkpoint, in a scratch folder, and compare with the latest bit for bit',
    )
    .action(async (run: string | undefined, { prove, set, printConfig }: ResumeOptions) => {
      if (prove && (set.length > 0 || printConfig))
        throw new ConfigError('--prove compares with the run as it was trained: leave the other options out')
      const { latestRun, resumeRun } = await import('./resuming.js')
      if (prove) {
        const { prove: proveRun } = await import('./proving.js')
        return proveRun(run ?? (await latestRun()))
      }
      const { runToEnd } = await import('../shared/running.js')
      const resumed = await resumeRun(run ?? true, { set, printConfig })
      if (resumed !== undefined) await runToEnd(resumed)
    })
