import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileError, SwitchyardError } from '../base/errors.js'
import { hostFrom } from '../base/host-tensor.js'
import { sourceOf } from './format.js'
import { loadCheckpoint, native, saveCheckpoint } from './native.js'
import type { CheckpointContent } from './native.js'
import { latestCheckpoint, listCheckpoints } from './run-folder.js'

let run: string
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), 'switchyard-native-'))
})
afterEach(() => rm(run, { recursive: true, force: true }))

const facts = (step: number) => ({
  step,
  config: { model: { dModel: 128 }, rate: 3e-3, name: 'g2p' },
  task: ['letters', null],
  data: { epoch: 2, order: [3, 1, 2] },
  seed: 42,
  backendVersion: 'onnxruntime-node 1.30.0',
  threads: 2,
  libraryVersion: '0.1.0',
})
const content = (step: number, value = step): CheckpointContent => ({
  ...facts(step),
  params: new Map([['encoder/w', hostFrom('float32', [2, 2], [value, 1, 2, 3])]]),
  optimizer: new Map([
    ['encoder/w/m', hostFrom('bfloat16', [2, 2], [value, 1, 2, 3])],
    ['count', hostFrom('int32', [], [step])],
  ]),
})

async function firstParam(folder: string | undefined): Promise<number> {
  const checkpoint = await loadCheckpoint(folder!)
  const { data } = await checkpoint.params.read('encoder/w')
  await checkpoint.close()
  return Number(data[0])
}

const steps = async (): Promise<number[]> => (await listCheckpoints(run)).map(c => c.step)

describe('saveCheckpoint and loadCheckpoint', () => {
  it('give everything back', async () => {
    const folder = await saveCheckpoint(run, {
      ...content(7),
      state: new Map([['rng', hostFrom('uint32', [2], [1, 2])]]),
    })
    expect(folder).toBe(join(run, 'step-7'))
    const { params, optimizer, state, close, folder: where, ...info } = await loadCheckpoint(folder)
    expect(info).toEqual(facts(7))
    expect(where).toBe(folder)
    expect(params.list()).toEqual([{ name: 'encoder/w', dtype: 'float32', shape: [2, 2] }])
    expect([...(await optimizer!.read('count')).data]).toEqual([7])
    expect([...(await state!.read('rng')).data]).toEqual([1, 2])
    await close()
    expect((await readdir(folder)).sort()).toEqual([
      'checkpoint.json',
      'optimizer.safetensors',
      'params.safetensors',
      'state.safetensors',
    ])
  })

  it('keep any JSON as it is', () =>
    fc.assert(
      fc.asyncProperty(fc.jsonValue({ stringUnit: 'binary' }), fc.jsonValue(), async (config, data) => {
        fc.pre(!JSON.stringify([config, data]).match(/__proto__|toJSON|-0/))
        const checkpoint = await loadCheckpoint(await saveCheckpoint(run, { ...content(1), config, data }))
        await checkpoint.close()
        expect({ config: checkpoint.config, data: checkpoint.data }).toEqual({
          config: JSON.parse(JSON.stringify(config)),
          data: JSON.parse(JSON.stringify(data)),
        })
      }),
      { numRuns: 50 },
    ))

  it('write the same bytes for the same content', async () => {
    const a = await saveCheckpoint(join(run, 'a'), content(1))
    const b = await saveCheckpoint(join(run, 'b'), content(1))
    for (const name of await readdir(a)) expect(await readFile(join(a, name))).toEqual(await readFile(join(b, name)))
  })

  it('refuse what could not be loaded again, and write nothing', async () => {
    const wrong: [object, RegExp][] = [
      [{ data: { position: NaN } }, /data\.position is NaN/],
      [{ step: -1 }, /step/],
      [{ step: 1.5 }, /step/],
      [{ seed: 2 ** 60 }, /seed/],
      [{ threads: 0 }, /threads/],
      [{ task: undefined }, /task/],
      [{ params: new Map([['__proto__', hostFrom('float32', [], [1])]]) }, /__proto__/],
      [{ other: 1 }, /other/],
    ]
    for (const [change, message] of wrong) {
      await expect(saveCheckpoint(run, { ...content(1), ...change })).rejects.toThrow(message)
      await expect(saveCheckpoint(run, { ...content(1), ...change })).rejects.toThrow(SwitchyardError)
    }
    expect(await readdir(run)).toEqual([])
  })

  it('name the broken file, the tensor and the way back', async () => {
    const folder = await saveCheckpoint(run, content(7))
    const optimizer = join(folder, 'optimizer.safetensors')
    await truncate(optimizer, (await stat(optimizer)).size - 4)
    await expect(loadCheckpoint(folder)).rejects.toThrow(
      /step-7\/optimizer\.safetensors: tensor "(count|encoder\/w\/m)" ends at .*if the run has an older checkpoint, remove .*step-7/,
    )
    await rm(join(folder, 'params.safetensors'))
    await expect(loadCheckpoint(folder)).rejects.toThrow(/step-7\/params\.safetensors: there is no such file/)
    await writeFile(join(folder, 'checkpoint.json'), '{"step": 7')
    await expect(loadCheckpoint(folder)).rejects.toThrow(/checkpoint\.json: this is not JSON, at its end: expected "}"/)
    await expect(loadCheckpoint(join(run, 'step-8'))).rejects.toThrow(/checkpoint\.json: there is no such file/)
  })

  it.each<[string, (info: Record<string, unknown>) => unknown, RegExp]>([
    ['a newer version', info => ({ ...info, version: 3, more: 1 }), /version 3 of the format.*update switchyard/],
    ['an unknown key', info => ({ ...info, more: 1 }), /more/],
    ['a missing key', info => ({ ...info, step: undefined }), /step/],
    ['missing JSON', info => ({ ...info, config: undefined }), /config/],
    ['a wrong type', info => ({ ...info, step: '7' }), /step/],
    ['a negative step', info => ({ ...info, step: -7 }), /step/],
    ['something else', () => [], /not what Switchyard writes/],
  ])('refuse checkpoint.json with %s', async (_, change, message) => {
    const folder = await saveCheckpoint(run, content(7))
    const path = join(folder, 'checkpoint.json')
    await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>)))
    await expect(loadCheckpoint(folder)).rejects.toThrow(message)
    await expect(loadCheckpoint(folder)).rejects.toThrow(FileError)
  })

  it('refuse an oversized checkpoint.json unread', async () => {
    const folder = await saveCheckpoint(run, content(7))
    await truncate(join(folder, 'checkpoint.json'), 2 ** 40) // sparse
    await expect(loadCheckpoint(folder)).rejects.toThrow(/1\.00 TiB, more than the 64\.00 MiB/)
  })
})

describe('the checkpoints of a run', () => {
  it('are sorted by number, and the last is the latest', async () => {
    expect(await latestCheckpoint(join(run, 'nothing'))).toBeUndefined()
    expect(await latestCheckpoint(run)).toBeUndefined()
    for (const step of [100, 9, 0]) await saveCheckpoint(run, content(step))
    expect(await steps()).toEqual([0, 9, 100])
    expect(await latestCheckpoint(run)).toBe(join(run, 'step-100'))
  })

  it('are thinned to the last `keep`, never by the new one itself nor by later ones', async () => {
    for (const step of [1, 2, 3]) await saveCheckpoint(run, content(step))
    await saveCheckpoint(run, content(4), { keep: 2 })
    expect(await steps()).toEqual([3, 4])
    await saveCheckpoint(run, content(2), { keep: 1 })
    expect(await steps()).toEqual([2, 3, 4])
    await expect(saveCheckpoint(run, content(5), { keep: 0 })).rejects.toThrow(/keep/)
    await expect(saveCheckpoint(run, content(5), { keep: NaN })).rejects.toThrow(/keep/)
    expect((await readdir(run)).sort()).toEqual(['step-2', 'step-3', 'step-4'])
  })

  it('are not thinned when the new one cannot be written', async () => {
    await saveCheckpoint(run, content(1))
    const bad = content(2)
    await expect(
      saveCheckpoint(
        run,
        { ...bad, params: new Map([['w', { dtype: 'float32', shape: [3], data: new Float32Array(2) }]]) },
        { keep: 1 },
      ),
    ).rejects.toThrow(/"w"/)
    expect(await readdir(run)).toEqual(['step-1'])
    expect(await firstParam(await latestCheckpoint(run))).toBe(1)
  })

  it('are replaced by a new one of the same step', async () => {
    await saveCheckpoint(run, content(5, 1))
    await saveCheckpoint(run, content(5, 2), { keep: 1 })
    expect(await firstParam(join(run, 'step-5'))).toBe(2)
    expect(await readdir(run)).toEqual(['step-5'])
  })

  it('survive a crash at any moment of a replacement', async () => {
    await saveCheckpoint(run, content(5, 1))
    await rename(join(run, 'step-5'), join(run, 'step-5.replaced')) // the new one was about to take the name
    expect(await firstParam(await latestCheckpoint(run))).toBe(1)
    await saveCheckpoint(run, content(5, 2))
    expect(await readdir(run)).toEqual(['step-5'])

    await cp(join(run, 'step-5'), join(run, 'step-5.replaced'), { recursive: true }) // the old one was about to go
    expect(await steps()).toEqual([5])
    expect(await latestCheckpoint(run)).toBe(join(run, 'step-5'))
    await saveCheckpoint(run, content(6))
    expect((await readdir(run)).sort()).toEqual(['step-5', 'step-6'])
  })

  it('do not count what is unfinished or foreign', async () => {
    const good = await saveCheckpoint(run, content(5))
    for (const name of ['step-9', 'step-010', 'step-', 'step-7x', 'other']) await mkdir(join(run, name))
    await writeFile(join(run, 'step-99'), 'a file')
    await mkdir(join(run, 'step-8'))
    await cp(join(good, 'checkpoint.json'), join(run, 'step-8', 'checkpoint.json'))
    const temp = `.switchyard-${hostname().replace(/\W/g, '_').slice(0, 64)}-${process.pid}-0-0123abcd`
    await cp(good, join(run, temp), { recursive: true })
    await truncate(join(run, temp, 'params.safetensors'), 50)
    expect(await latestCheckpoint(run)).toBe(good)
    await saveCheckpoint(run, content(6))
    expect(await readdir(run)).not.toContain(temp)
    expect(await latestCheckpoint(run)).toBe(join(run, 'step-6'))
    // What stands in the way under the final name is replaced.
    await saveCheckpoint(run, content(8))
    expect(await latestCheckpoint(run)).toBe(join(run, 'step-8'))
  })
})

describe('native as a format', () => {
  it('opens the parameters of a training checkpoint', async () => {
    const folder = await saveCheckpoint(run, content(3))
    expect(await native.detect(folder)).toBe(true)
    const reader = await native.open(folder)
    expect(reader.list().map(i => i.name)).toEqual(['encoder/w'])
    await reader.close()
  })

  it('does not delete a folder that is no checkpoint', async () => {
    await writeFile(join(run, 'thesis.txt'), 'precious')
    await expect(native.write(run, sourceOf([]), { replace: true })).rejects.toThrow(/not a checkpoint of ours/)
    expect(await readdir(run)).toEqual(['thesis.txt'])
  })
})

describe('kill -9', () => {
  // Plain JavaScript, so that a process of its own can save until it is killed.
  const compile = (target: string): Promise<unknown> =>
    build({
      stdin: {
        resolveDir: import.meta.dirname,
        contents: `
          import { saveCheckpoint } from './native.ts'
          const run = process.argv[2]
          let step = Number(process.argv[3])
          for (;; step++) {
            const w = { dtype: 'float32', shape: [50000], data: new Float32Array(50000).fill(step) }
            const info = { step: Math.floor(step / 2), config: null, task: null, data: step, seed: 0, backendVersion: '', threads: 1, libraryVersion: '' }
            await saveCheckpoint(run, { ...info, params: new Map([['w', w]]), optimizer: new Map([['w', w]]) }, { keep: 1 })
            process.stdout.write(step + '\\n')
          }`,
      },
      outfile: target,
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
    })

  it('leaves a whole latest checkpoint, never older than the last that was reported', async () => {
    const code = join(run, 'code.mjs')
    await compile(code)
    const folder = join(run, 'run')
    let last = -1
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, [code, folder, String(last + 1)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let output = ''
      const ended = new Promise(done => child.once('close', done))
      // Killed at a random moment of about two savings, however long these take on this machine.
      const seen: number[] = []
      const duration = await new Promise<number>(measured =>
        child.stdout.on('data', (chunk: Buffer) => {
          output += chunk.toString()
          if (seen.push(performance.now()) === 3) measured((seen[2] - seen[0]) / 2)
        }),
      )
      await new Promise(done => setTimeout(done, 2 * Math.random() * duration))
      child.kill('SIGKILL')
      await ended
      const reported = Number(output.trimEnd().split('\n').at(-1))
      const checkpoint = await loadCheckpoint((await latestCheckpoint(folder))!)
      const value = checkpoint.data as number
      expect(value).toBeGreaterThanOrEqual(reported)
      for (const part of [checkpoint.params, checkpoint.optimizer!])
        expect((await part.read('w')).data.every(x => x === value)).toBe(true)
      await checkpoint.close()
      last = value
    }
    await saveCheckpoint(folder, content(1e6), { keep: 1 })
    expect(await readdir(folder)).toEqual(['step-1000000'])
  })
})
