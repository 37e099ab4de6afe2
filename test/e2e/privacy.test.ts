import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cli, tiny } from './cli.js'

describe('Switchyard writes only where it is told to', () => {
  let cli: Cli
  let home: string
  beforeAll(async () => {
    cli = await Cli.create()
    home = await mkdtemp(join(tmpdir(), 'switchyard-home-'))
    // Reads its result in the first session of ONNX Runtime, which is when telemetry would start.
    await writeFile(
      join(cli.folder, 'compute.mjs'),
      `import { np } from ${JSON.stringify(join(cli.package_, 'dist/index.js'))}
      console.log(await np.sin(np.array([0])).item())`,
    )
  })
  afterAll(() => Promise.all([cli?.remove(), rm(home, { recursive: true, force: true })]))

  /** Runs Node with an empty folder as the home folder and the temporary folder, and a named one for encoded data. */
  const node = async (args: readonly string[], settings: NodeJS.ProcessEnv = {}): Promise<string> => {
    const caches = { XDG_CACHE_HOME: join(home, '.cache'), SWITCHYARD_CACHE: join(cli.folder, 'cache') }
    const env = { HOME: home, TMPDIR: home, ...caches, ...settings }
    return (await promisify(execFile)(process.execPath, args, { cwd: cli.folder, env })).stdout
  }
  const inHome = (): Promise<string[]> => readdir(home, { recursive: true })

  it('trains, and leaves no file outside of the run and the cache', async () => {
    await node([join(cli.package_, 'bin/switchyard.js'), 'train', 'g2p', ...tiny, '--set', 'train.steps=4'])
    expect(await inHome()).toEqual([])
    expect((await readdir(cli.folder)).filter(name => name !== 'cache').sort()).toEqual(['compute.mjs', 'runs'])
  })

  it.each([
    ['the main thread', 'await import("./compute.mjs")'],
    ['a worker', 'new (await import("node:worker_threads")).Worker("./compute.mjs", { execArgv: [] })'],
  ])('computes in %s, and leaves nothing', async (_, program) => {
    expect(await node(['--input-type=module', '--eval', program])).toBe('0\n')
    expect(await inHome()).toEqual([])
  })

  it("keeps the user's own value of ORT_DISABLE_TELEMETRY", async () => {
    const program = 'await import("./compute.mjs"); console.log(process.env.ORT_DISABLE_TELEMETRY)'
    expect(await node(['--input-type=module', '--eval', program], { ORT_DISABLE_TELEMETRY: 'true' })).toBe('0\ntrue\n')
  })
})
