import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { hasEnded, host, isRunning, thisProcess } from './owner.js'

const { platform } = process
let parent: ChildProcess | undefined
afterEach(() => {
  Object.defineProperty(process, 'platform', { value: platform })
  parent?.kill('SIGKILL')
  parent = undefined
})

/** A process that ends at once and whose parent, `sleep`, never asks for its exit code. */
async function zombie(): Promise<number> {
  parent = spawn('sh', ['-c', 'sh -c "sleep 0.1" & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = (await once(parent.stdout!, 'data')) as [Buffer]
  return Number(line.toString())
}

// `ps` gives the same columns on Linux and macOS.
describe.skipIf(platform === 'win32').each(platform === 'linux' ? ['linux', 'darwin'] : [platform])(
  'a process, judged as on %s,',
  name => {
    it('runs until it is a zombie', async () => {
      Object.defineProperty(process, 'platform', { value: name })
      expect(await isRunning(await thisProcess())).toBe(true)
      expect(await hasEnded(host, process.pid)).toBe(false)
      const pid = await zombie()
      await vi.waitFor(async () => expect(await isRunning({ host, pid, began: null })).toBe(false), 10_000)
      expect(await hasEnded(host, pid)).toBe(true)
      expect(() => process.kill(pid, 0)).not.toThrow()
    })
  },
)
