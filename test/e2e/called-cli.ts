import { AsyncLocalStorage, createHook } from 'node:async_hooks'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'
import { inject, vi } from 'vitest'
import type { Ended } from './cli.js'

/**
 * The command line of the built package, called as a function in this process, as a started process would run it in
 * `folder`. It has the compiled worker threads, which the sources lack. A process takes a second of CPU to start, so
 * this is for tests of what commands do; what a process adds (its streams, its signals) is tested with `Cli`. A command
 * that leaves something that would keep its process from ending is an error.
 */
export class CalledCli {
  private constructor(
    /** Where commands run. It is this process's working directory. */
    readonly folder: string,
    private readonly before: string,
    private readonly main: (argv: readonly string[]) => Promise<number>,
  ) {}

  /** `given`: a folder to run in, instead of a new one. `remove` removes either. */
  static async create(given?: string): Promise<CalledCli> {
    const folder = given ?? (await realpath(await mkdtemp(join(tmpdir(), 'switchyard-called-'))))
    const before = process.cwd()
    process.chdir(folder)
    const built = pathToFileURL(join(inject('packageFolder'), 'dist/cli/main.js')).href
    const { main } = (await import(built)) as typeof import('../../src/cli/main.js')
    return new CalledCli(folder, before, main)
  }

  async remove(): Promise<void> {
    process.chdir(this.before)
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Runs `switchyard ...args`. One call at a time: each captures all output of this process. */
  async run(...args: readonly string[]): Promise<Pick<Ended, 'code' | 'stdout' | 'stderr'>> {
    const text = { stdout: '', stderr: '' }
    const written = (stream: keyof typeof text) => (chunk: unknown) => {
      text[stream] += String(chunk)
      return true
    }
    const logged =
      (stream: keyof typeof text) =>
      (...values: unknown[]) => {
        text[stream] += `${format(...values)}\n`
      }
    const streams = [process.stdout, process.stderr]
    const listeners = streams.map(stream => stream.listeners('error'))
    const spies = [
      vi.spyOn(process.stdout, 'write').mockImplementation(written('stdout')),
      vi.spyOn(process.stderr, 'write').mockImplementation(written('stderr')),
      vi.spyOn(console, 'log').mockImplementation(logged('stdout')),
      vi.spyOn(console, 'error').mockImplementation(logged('stderr')),
    ]
    try {
      const code = await endedBy(() => this.main(args), `switchyard ${args.join(' ')}`)
      return { code, ...text, stdout: asInstalled(text.stdout), stderr: asInstalled(text.stderr) }
    } finally {
      for (const spy of spies) spy.mockRestore()
      streams.forEach((stream, i) => {
        for (const listener of stream.listeners('error') as (() => void)[])
          if (!listeners[i].includes(listener)) stream.off('error', listener)
      })
    }
  }
}

/** The kinds of resources that keep a process from ending, as async_hooks names them. */
const KEEPING = /^(Timeout|TCP|TLS|UDP|PIPE|PROCESS|WORKER|MESSAGEPORT|FSEVENT|STATWATCHER|HTTP)/

/**
 * Runs a command. Throws an Error if it has left timers, sockets, workers or the like, which would keep its process
 * from ending. What ends by itself within some seconds, such as a closing worker, is waited for.
 */
async function endedBy<T>(command: () => Promise<T>, name: string): Promise<T> {
  const inside = new AsyncLocalStorage<true>()
  const resources = new Map<number, { type: string; resource: { hasRef?(): boolean } }>()
  const hook = createHook({
    init: (id, type, _, resource) => {
      if (KEEPING.test(type) && inside.getStore()) resources.set(id, { type, resource })
    },
    destroy: id => resources.delete(id),
  }).enable()
  try {
    const result = await inside.run(true, command)
    const left = (): string[] =>
      Array.from(resources.values()).flatMap(({ type, resource }) => (resource.hasRef?.() === false ? [] : [type]))
    for (const end = performance.now() + 10_000; left().length > 0 && performance.now() < end;) await sleep(20)
    if (left().length > 0) throw new Error(`${name}: the command has ended, and left ${left().join(', ')}`)
    return result
  } finally {
    hook.disable()
  }
}

/** The command as it is called within the package's folder. */
const asInstalled = (text: string): string => text.replaceAll(/node \S+\/bin\/switchyard\.js/g, 'npx switchyard')
