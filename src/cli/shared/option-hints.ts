import type { Command } from 'commander'
import { settingNamed } from '../../config/other-names.js'

/** Options that people expect from other programs, with the names of ours. A command may have none of them. */
const ours: ReadonlyMap<string, readonly string[]> = new Map([
  ['--file', ['--data']],
  ['--dataset', ['--data']],
  ['--input-file', ['--data']],
  ['--output-file', ['--out']],
  ['--max-length', ['--max-new-tokens']],
  ['--max-tokens', ['--max-new-tokens', '--max-length']],
])

/**
 * Adds the name of our option to commander's message about an unknown one, if commander found none that is similar; and
 * to one about too many arguments, which may be settings (`train g2p train.steps=300`), how those are given; and to one
 * about an option that is a setting here (`--epochs`), that setting.
 */
export function withOptionHint(message: string, command: Pick<Command, 'name' | 'options'>): string {
  const has = (name: string): boolean => command.options.some(({ long }) => long === name)
  if (message.includes('too many arguments') && has('--set'))
    return `${message.trimEnd()}\n(Each setting needs --set before it: --set train.steps=300)\n`
  const given = /unknown option '(--[\w-]+)(?:=.*)?'/.exec(message)?.[1]
  if (command.name() === 'launch' && given !== undefined)
    return `${message.trimEnd()}\n(Write -- before the command: launch --processes 2 -- train g2p ${given} ...)\n`
  const setting = has('--set') ? settingNamed(given ?? '') : undefined
  // Commander may have found an option that is spelt alike: --seed, --set.
  if (setting !== undefined) return `${message.split('\n')[0]}\n(It is a setting: --set ${setting})\n`
  const meant = message.includes('Did you mean') ? undefined : ours.get(given ?? '')?.find(has)
  return meant === undefined ? message : `${message.trimEnd()}\n(Did you mean ${meant}?)\n`
}
