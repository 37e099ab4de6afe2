import { Command, CommanderError } from 'commander'
import { ConfigError, SwitchyardError } from '../base/errors.js'
import { libraryVersion } from '../base/version.js'
import { errorCode, systemAdvice } from '../checkpoint/files.js'
import { onLongWork } from '../data/long-work.js'
import { withOptionHint } from './shared/option-hints.js'
import { handleOutputErrors } from './shared/output-errors.js'
import { configCommand } from './inspect/config.js'
import { doctorCommand } from './doctor/doctor.js'
import { benchCommand } from './bench/bench.js'
import { convertCommand } from './convert/convert.js'
import { dataCommand } from './inspect/data.js'
import { distillCommand } from './distill/distill.js'
import { embedCommand } from './embed/embed.js'
import { evalCommand } from './eval/eval.js'
import { Exit } from './shared/exit.js'
import { beforeError, endJob } from './shared/job.js'
import { withBackendOption } from './shared/backend.js'
import { refuseRepeated } from './shared/repeated-options.js'
import { showWork } from './shared/show-work.js'
import { expertsCommand } from './experts/experts.js'
import { explainCommand } from './inspect/explain.js'
import { finetuneCommand } from './finetune/finetune.js'
import { launchCommand } from './launch/launch.js'
import { inferCommand } from './infer/infer.js'
import { initCommand } from './convert/init.js'
import { inspectCommand } from './inspect/inspect.js'
import { plotCommand } from './inspect/plot.js'
import { pruneCommand } from './convert/prune.js'
import { serveCommand } from './serve/serve.js'
import { planCommand } from './plan/plan.js'
import { resumeCommand } from './train/resume.js'
import { trainCommand } from './train/train.js'
import { upcycleCommand } from './convert/upcycle.js'
import { verifyCommand } from './verify/verify.js'

/**
 * Runs the command line and returns its exit code:
 *
 * - 0: success.
 * - 2: the command line or the configuration must be changed: an unknown command, option, setting, recipe or task, a
 *   value that is not allowed or does not fit the model or the data, a `switchyard.config.ts` that cannot be run.
 *   (commander's errors and ConfigError.)
 * - 1: the command fails while it works: a file, a folder or a model does not exist, is in the way, cannot be read or
 *   holds something else; memory, a disk or the network does not suffice; a comparison finds a difference. (All other
 *   errors.)
 * - 130: Ctrl-C.
 */
export async function main(argv: readonly string[]): Promise<number> {
  handleOutputErrors(goesOn.get(argv[0]))
  onLongWork(showWork())
  const program = new Command('switchyard')
    .description('Switch Transformers: train, evaluate and run mixture-of-experts and dense T5 models')
    .version(libraryVersion)
    .showHelpAfterError('(--help lists the commands and options)')
  for (const command of [
    trainCommand(),
    resumeCommand(),
    finetuneCommand(),
    inferCommand(),
    embedCommand(),
    serveCommand(),
    evalCommand(),
    inspectCommand(),
    plotCommand(),
    dataCommand(),
    verifyCommand(),
    convertCommand(),
    upcycleCommand(),
    pruneCommand(),
    distillCommand(),
    initCommand(),
    explainCommand(),
    planCommand(),
    expertsCommand(),
    configCommand(),
    benchCommand(),
    launchCommand(),
    doctorCommand(),
  ]) {
    program.addCommand(withBackendOption(command).copyInheritedSettings(program))
    for (const nested of command.commands) nested.copyInheritedSettings(command)
  }
  program.addHelpText(
    'after',
    '\nEnvironment: SWITCHYARD_MEMORY_CHECK=off starts a task even if it is estimated to need more memory than is free.',
  )
  const withSubcommands = program.commands.flatMap(command => [command, ...command.commands])
  for (const command of withSubcommands) refuseRepeated(command)
  for (const command of [program, ...withSubcommands])
    command.exitOverride().configureOutput({ outputError: (text, write) => write(withOptionHint(text, command)) })
  const code = await exitCode(program, argv)
  await endJob(code)
  return code
}

async function exitCode(program: Command, argv: readonly string[]): Promise<number> {
  try {
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    if (!(error instanceof Exit)) await beforeError(error)
    return exitCodeOf(error, calledCommand(program, argv))
  }
}

/** The command that the arguments name, also a nested one (`data inspect`). */
function calledCommand({ commands }: Command, [name, ...others]: readonly string[]): Command | undefined {
  const command = commands.find(command => command.name() === name)
  return command && (calledCommand(command, others) ?? command)
}

/** What continues when the output of a command is closed, by the command. */
const goesOn: ReadonlyMap<string, string> = new Map([
  ['train', 'training'],
  ['finetune', 'training'],
  ['distill', 'training'],
  ['serve', 'the server'],
])

function exitCodeOf(error: unknown, command?: Command): number {
  // Commander has already printed its message. Help and version have exit code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof Exit) return error.code
  if (error instanceof SwitchyardError) {
    console.error(`switchyard: ${inOptions(error.message, command)}`)
    return error instanceof ConfigError ? 2 : 1
  }
  if (isOutOfMemory(error)) {
    console.error(
      `switchyard: out of memory (${(error as Error).message}): end other programs, or use fewer rows (--set train.rows) or a smaller model`,
    )
    return 1
  }
  if (errorCode(error) === 'ENOSPC') {
    console.error(`switchyard: ${systemAdvice(error as Error)}`)
    return 1
  }
  const place = placeInUserConfig(error)
  if (place !== undefined) {
    console.error(`switchyard: ${place}: ${(error as Error).message}`)
    return 1
  }
  console.error('switchyard: this is a bug in Switchyard; please report it with these lines')
  console.error(error)
  return 1
}

/** The line of a user's `switchyard.config.ts` in which an error was thrown; undefined if it came from elsewhere. */
const placeInUserConfig = (error: unknown): string | undefined =>
  error instanceof Error
    ? /^ +at .*?([^\s()]*switchyard\.config\.m?[jt]s:\d+:\d+)/m.exec(error.stack?.split('\n')[1] ?? '')?.[1]
    : undefined

/** The errors with which ONNX Runtime, V8 and WebAssembly say that an allocation failed. */
const isOutOfMemory = (error: unknown): boolean =>
  error instanceof Error &&
  /bad_alloc|allocation failed|could not allocate memory|failed to allocate memory|out of memory/i.test(error.message)

/**
 * Replaces the library's names of options in a message (numBeams) by those of the command line (--num-beams), if they
 * have several words.
 */
function inOptions(message: string, command?: Command): string {
  const names = (command?.options ?? []).flatMap(({ long }) =>
    long?.slice(2).includes('-') ? [[camelCase(long.slice(2)), long] as const] : [],
  )
  return names.reduce((text, [name, long]) => text.replaceAll(new RegExp(`(?<![\\w.])${name}\\b`, 'g'), long), message)
}

const camelCase = (name: string): string => name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
