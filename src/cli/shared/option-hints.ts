import type { Command } from 'commander'

/** Options that people expect from other programs, with the names of ours. A command may have none of them. */
const ours: ReadonlyMap<string, readonly string[]> = new Map([
  ['--file', ['--data']],
  ['--dataset', ['--data']],
  ['--input-file', ['--data']],
  ['--output-file', ['--out']],
  ['--max-length', ['--max-new-tokens']],
  ['--max-tokens', ['--max-new-tokens', '--max-length']],
])

/** Adds the name of our option to commander's message about an unknown one, if commander found none that is similar. */
export function withOptionHint(message: string, command: Pick<Command, 'options'>): string {
  const given = /unknown option '(--[\w-]+)(?:=.*)?'\s*$/.exec(message)?.[1]
  const meant = ours.get(given ?? '')?.find(name => command.options.some(({ long }) => long === name))
  return meant === undefined ? message : `${message.trimEnd()}\n(Did you mean ${meant}?)\n`
}
