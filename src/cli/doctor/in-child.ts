import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Libraries } from './libraries.js'

/** Why something does not run. */
export interface Failure {
  readonly failure: string
}

export const failureOf = (error: unknown): Failure => ({
  failure: error instanceof Error ? error.message : String(error),
})

/** What is kept of the child's last words. */
const KEPT_CHARACTERS = 2000

/**
 * Tries a native library in a process of its own, which the library may end: it may abort, or be made for another
 * processor.
 */
export async function inChild<K extends keyof Libraries>(
  kind: K,
  path: string,
): Promise<Awaited<ReturnType<Libraries[K]>> | Failure> {
  const entry = fileURLToPath(new URL('./child.js', import.meta.url))
  const child = fork(entry, [kind, path], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let answer: Awaited<ReturnType<Libraries[K]>> | Failure | undefined
  child.once('message', message => (answer = message as typeof answer))
  let words = ''
  child.stderr!.on('data', (text: Buffer) => (words = (words + text.toString()).slice(-KEPT_CHARACTERS)))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return answer ?? { failure: `${path} ended the process that loaded it, by ${endOf(code, signal)}${lastOf(words)}` }
}

function endOf(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === 'SIGILL') return 'SIGILL: it is made for processors with other instructions'
  return signal ?? `exit status ${code}`
}

const lastOf = (words: string): string => {
  const line = words.trim().split('\n').at(-1)
  return line ? `: ${line}` : ''
}
