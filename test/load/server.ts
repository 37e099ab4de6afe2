import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** `switchyard serve` in a process of its own. */
export class LoadedServer {
  private constructor(
    readonly url: string,
    private readonly child: ReturnType<typeof spawn>,
    private readonly modelPid: number,
  ) {}

  /** Starts a server of a shipped model, in the folder of the package. Resolves when the model answers. */
  static async start(model: string): Promise<LoadedServer> {
    const args = ['bin/switchyard.js', 'serve', model, '--port', '0']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let url: string | undefined
    const lines = createInterface({ input: child.stdout })
    for await (const line of lines) {
      url ??= /Server listening at (http:[^"]*)/.exec(line)?.[1]
      const pid = /loaded in .* by process (\d+)/.exec(line)?.[1]
      if (pid === undefined) continue
      child.stdout.resume()
      return new LoadedServer(url!, child, Number(pid))
    }
    throw new Error('switchyard serve ended before its model was loaded')
  }

  /** Ends the process of the model as the system does when memory is short. */
  killModel(): void {
    process.kill(this.modelPid, 'SIGKILL')
  }

  /** The resident memory of the server and of its model's process, in MiB; null where the system does not tell. */
  memory(): readonly number[] | null {
    try {
      return [this.child.pid, this.modelPid].map(pid => {
        const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
        return Number(kilobytes) / 1024
      })
    } catch {
      return null
    }
  }

  /** Lets the server finish. Resolves to its exit code. */
  async stop(): Promise<number | null> {
    const exit = once(this.child, 'exit')
    this.child.kill('SIGTERM')
    return ((await exit) as [number | null])[0]
  }
}
