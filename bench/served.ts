import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { at } from './peers.js'

/** A server in a process of its own. */
export interface Served {
  readonly url: string
  readonly pid: number
  /** Resolves to the exit code. */
  stop(): Promise<number | null>
}

/** Starts `switchyard serve`, as its users do. Resolves when the model answers. */
export async function startServer(model: string): Promise<Served> {
  const args = [at('../bin/switchyard.js'), 'serve', `model=${model}`, '--port', '0', '--log-level', 'warn']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] })
  let url: string | undefined
  for await (const line of createInterface({ input: child.stderr })) {
    url ??= /http:\/\/[\d.:]+/.exec(line)?.[0]
    if (line.startsWith('ready')) break
  }
  if (url === undefined) throw new Error('switchyard serve ended before it listened')
  child.stderr.resume()
  return {
    url,
    pid: child.pid!,
    stop: async () => {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const [code] = (await exit) as [number | null]
      return code
    },
  }
}
