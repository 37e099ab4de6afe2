import { Option } from 'commander'
import type { Command } from 'commander'
import { ConfigError } from '../../base/errors.js'
import type { Backend } from '../../engine/compile/backend.js'
import type { XlaOptions } from '../../engine/compile/xla/options.js'
import { enterJob } from './job.js'
import { watchCompiling } from './compiling.js'

/** The backends of the command line, the default first. */
const names = ['onnx', 'xla'] as const
type Name = (typeof names)[number]

/** The commands that compute. */
const computing = ['train', 'resume', 'finetune', 'distill', 'infer', 'embed', 'serve', 'eval', 'verify']

/** Adds `--backend` to a command that computes; it is made the default backend before the command begins. */
export function withBackendOption(command: Command): Command {
  if (!computing.includes(command.name())) return command
  return command
    .addOption(
      new Option(
        '--backend <name>',
        'what computes: onnx (ONNX Runtime), or xla (XLA, with a PJRT plugin: switchyard doctor says which are found); default: SWITCHYARD_BACKEND, or onnx',
      ).choices(names),
    )
    .hook('preAction', async (_, action) => {
      const name = action.opts<{ backend?: Name }>().backend ?? backendOfEnvironment()
      // Served models compute in processes of their own, which inherit the environment.
      if (command.name() === 'serve') process.env.SWITCHYARD_BACKEND = name
      else if (!(await enterJob(command.name(), name === 'xla' ? openXla : undefined))) await useBackend(name)
      else used = name
    })
}

/** The backend that the environment's variable SWITCHYARD_BACKEND names. */
export function backendOfEnvironment(env: NodeJS.ProcessEnv = process.env): Name {
  const given = env.SWITCHYARD_BACKEND || names[0]
  const name = names.find(known => known === given)
  if (name === undefined)
    throw new ConfigError(`SWITCHYARD_BACKEND is ${JSON.stringify(given)}: set it to one of ${names.join(', ')}`)
  return name
}

/** What computes in this process now. */
let used: Name = names[0]

/** What a command that goes on with this one's work needs, to compute with the same backend: ` --backend xla`. */
export const sameBackend = (): string => (used === backendOfEnvironment() ? '' : ` --backend ${used}`)

const openXla = async (options: XlaOptions = {}): Promise<Backend> =>
  (await import('../../engine/api/open-backend.js')).openBackend('xla', options)

async function useBackend(name: Name): Promise<void> {
  if (name === used) return
  await computeWithXla()
  used = name
}

/** Makes XLA the default backend, and shows when it compiles. */
export async function computeWithXla(options?: XlaOptions): Promise<void> {
  const { setBackend } = await import('../../engine/api/engine.js')
  watchCompiling(setBackend(await openXla(options)).compiling)
}
