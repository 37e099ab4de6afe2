/** The line protocol of peers/README.md: a contestant's messages, and both ends of the connection. */
import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

export interface Ready {
  ready: true
  name: string
  /** 0 where there is nothing to trace or compile. */
  traceSeconds: number
  compileSeconds: number
  parameters: number
  peakRssBytes: number
}

/** The additional facts that Switchyard reports. */
export interface SwitchyardReady extends Ready {
  /** Library, version and threads. */
  backend: string
  /** The operations of the matrix products of one step. */
  flops: number
  stateBytes: number
  activationBytes: number
  nodes: number
  fusedLoops: number
}

export interface Steps {
  stepSeconds: number[]
  loss: number
  peakRssBytes: number
}
export interface Gemm {
  flopsPerSecond: number
}

/** A contestant in a process of its own. */
export class Contestant {
  private readonly lines: AsyncIterator<string>
  private lastWords = ''

  private constructor(
    readonly name: string,
    private readonly child: ChildProcessWithoutNullStreams,
  ) {
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    child.stderr.on('data', (text: Buffer) => {
      this.lastWords = (this.lastWords + text.toString()).slice(-2000)
    })
    // A write to a process that died is reported by the read that follows.
    child.stdin.on('error', () => undefined)
  }

  /** Starts a program and waits until it is ready. Its process is killed when `signal` is aborted. */
  static async start(
    name: string,
    command: string,
    args: readonly string[],
    signal?: AbortSignal,
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ contestant: Contestant; ready: Ready }> {
    const child = spawn(command, args, { stdio: 'pipe', env: { ...process.env, ...env } })
    signal?.addEventListener('abort', () => child.kill('SIGKILL'))
    await Promise.race([
      once(child, 'spawn'),
      once(child, 'error').then(([error]) => {
        throw error as Error
      }),
    ])
    const contestant = new Contestant(name, child)
    return { contestant, ready: await contestant.reply<Ready>() }
  }

  /** Sends a command and returns its answer. */
  ask<A>(command: string): Promise<A> {
    this.child.stdin.write(`${command}\n`)
    return this.reply<A>()
  }

  async quit(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exit = once(this.child, 'exit')
    this.child.stdin.end('quit\n')
    await exit
  }

  private async reply<A>(): Promise<A> {
    const { value, done } = await this.lines.next()
    if (done) throw new Error(`${this.name} ended without an answer:\n${this.lastWords}`)
    const answer = JSON.parse(value) as A & { error?: string }
    if (answer.error !== undefined) throw new Error(`${this.name}: ${answer.error}\n${this.lastWords}`)
    return answer
  }
}

/** Prints the ready message, then answers `<command> <count>` lines until `quit` or the end of stdin. */
export async function serve(
  ready: object,
  commands: { readonly [name: string]: (count: number) => Promise<object> },
): Promise<void> {
  const reply = (message: object): void => {
    process.stdout.write(`${JSON.stringify(message)}\n`)
  }
  reply({ ready: true, ...ready, peakRssBytes: peakRssBytes() })
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, count] = line.trim().split(/\s+/)
    if (name === '') continue
    if (name === 'quit') break
    try {
      if (!(name in commands) || !(Number(count) >= 1))
        throw new Error(`expected quit or one of ${Object.keys(commands)} with a count, got ${JSON.stringify(line)}`)
      reply({ ...(await commands[name](Number(count))), peakRssBytes: peakRssBytes() })
    } catch (error) {
      process.stderr.write(`${(error as Error).stack}\n`)
      reply({ error: String(error) })
    }
  }
}

/** The peak resident memory of this process, in bytes. */
function peakRssBytes(): number {
  const line = readFileSync('/proc/self/status', 'utf8')
    .split('\n')
    .find(l => l.startsWith('VmHWM:'))
  return Number(line!.split(/\s+/)[1]) * 1024
}
