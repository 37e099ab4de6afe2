import { Command } from 'commander'
import { ConfigError } from '../../base/errors.js'

/** Each process takes 100 MB or more, and a thread: more of them than this on one machine is a slip of the pen. */
const MOST_PROCESSES = 256

export const launchCommand = (): Command =>
  new Command('launch')
    .description(
      'run a command that trains as several processes on this machine, each of which is a device of its mesh',
    )
    .requiredOption('--processes <number>', 'how many processes', text => {
      const count = Number(text)
      if (!Number.isInteger(count) || count < 1 || count > MOST_PROCESSES)
        throw new ConfigError(`--processes is ${text}: give a whole number from 1 to ${MOST_PROCESSES}, such as 4`)
      return count
    })
    .argument('<command...>', 'the command with its options, after --')
    .addHelpText(
      'after',
      `
Train on four processes, which divide the batch and the experts:
  switchyard launch --processes 4 -- train g2p --mesh data=2,expert=2

On several machines, mpiexec or SLURM start the processes instead:
  mpiexec -n 4 node_modules/.bin/switchyard train g2p --mesh data=2,expert=2
  srun -K --mpi=pmi2 -n 4 node_modules/.bin/switchyard train g2p --mesh data=2,expert=2`,
    )
    .action(async (command: string[], { processes }: { processes: number }) => {
      const { launch } = await import('./launching.js')
      await launch(processes, command)
    })
