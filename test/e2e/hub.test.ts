import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../../src/checkpoint/weights.js'
import { preset } from '../../src/model/presets.js'
import { sha256, TestHub } from '../hub-server.js'
import { CalledCli } from './called-cli.js'
import { smallSizes } from '../small-model.js'

describe('a model of the Hugging Face hub', () => {
  let cli: CalledCli
  let hub: TestHub
  let scratch: string
  const keys = ['HF_ENDPOINT', 'HF_HUB_CACHE', 'HF_HUB_OFFLINE'] as const
  const before = keys.map(key => process.env[key])

  beforeAll(async () => {
    ;[cli, hub, scratch] = await Promise.all([
      CalledCli.create(),
      TestHub.start(),
      mkdtemp(join(tmpdir(), 'switchyard-hub-')),
    ])
    process.env.HF_ENDPOINT = hub.url
    process.env.HF_HUB_CACHE = join(scratch, 'cache')
    const base = preset('switch-base-8')
    const model = {
      ...base.model,
      ...smallSizes,
      dtype: 'float32',
    } as const
    const folder = join(scratch, 'model')
    await writeHfWeights(folder, newWeights('tiny', model, base.router, 0))
    await copyFile(
      fileURLToPath(new URL('../../assets/t5-vocab/spiece.model', import.meta.url)),
      join(folder, 'spiece.model'),
    )
    await hub.addFolder('google/switch-tiny', folder)
  })
  afterAll(async () => {
    keys.forEach((key, i) => {
      if (before[i] === undefined) delete process.env[key]
      else process.env[key] = before[i]
    })
    await Promise.all([cli.remove(), hub.stop(), rm(scratch, { recursive: true, force: true })])
  })

  const infer = (...args: string[]): ReturnType<CalledCli['run']> =>
    cli.run('infer', 'google/switch-tiny', 'The cat sat', '--max-new-tokens', '4', ...args)

  it('is fetched once, resumes a broken download, and generates text', async () => {
    hub.cut(sha256(await readFile(join(scratch, 'model/model.safetensors'))), 100_000)
    const first = await infer()
    expect(first).toMatchObject({ code: 0 })
    expect(first.stdout).toMatch(/^The cat sat\t.*\n$/)
    expect(first.stderr).toContain('fetching model.safetensors (2.')
    // The hub is asked, and the storage that it redirects to.
    expect(new Set(hub.seen.flatMap(({ range }) => range ?? []))).toEqual(new Set(['bytes=100000-']))
    const sent = hub.seen.length
    process.env.HF_HUB_OFFLINE = '1'
    expect(await infer()).toMatchObject({ code: 0, stdout: first.stdout, stderr: '' })
    delete process.env.HF_HUB_OFFLINE
    expect(hub.seen.length).toBe(sent)
    expect(await readdir(join(scratch, 'cache/models--google--switch-tiny'))).toEqual(
      expect.arrayContaining(['blobs', 'refs', 'snapshots']),
    )
  })

  it('answers in the same way if its weights are left on the hub', async () => {
    await hub.addFolder('google/switch-left', join(scratch, 'model'))
    const left = (...args: string[]): ReturnType<CalledCli['run']> =>
      cli.run(
        'infer',
        'google/switch-left',
        'The cat sat',
        '--max-new-tokens',
        '4',
        '--experts-memory',
        '10kB',
        ...args,
      )
    const first = await left()
    expect(first, first.stderr).toMatchObject({ code: 0 })
    expect(first.stdout).toBe((await infer()).stdout)
    expect(first.stderr).toMatch(/MiB of weights were fetched from the hub: headers, and all that is dense/)
    expect(first.stderr).toMatch(/experts: .* KiB from the network/)
    const sent = hub.seen.length
    process.env.HF_HUB_OFFLINE = '1'
    const again = await left()
    delete process.env.HF_HUB_OFFLINE
    expect(again, again.stderr).toMatchObject({ code: 0, stdout: first.stdout })
    expect(again.stderr).not.toContain('network')
    expect(hub.seen.length).toBe(sent)
    expect((await left('--quantize', 'int4')).stdout).toBe((await infer('--quantize', 'int4')).stdout)
    const model = join(scratch, 'cache/models--google--switch-left')
    const [commit] = await readdir(join(model, 'snapshots'))
    expect(await readdir(join(model, 'snapshots', commit))).not.toContain('model.safetensors')
  })

  it('can be fine-tuned', async () => {
    await writeFile(join(cli.folder, 'pairs.tsv'), Array.from({ length: 60 }, (_, i) => `${i}\t${i + 1}\n`).join(''))
    const sizes = ['steps=2', 'rows=1', 'evalExamples=1'].flatMap(size => ['--set', `train.${size}`])
    const run = await cli.run('finetune', 'google/switch-tiny', '--data', 'pairs.tsv', ...sizes)
    expect(run, run.stderr).toMatchObject({ code: 0 })
    expect(run.stdout).toMatch(
      /restored 49 of 49 tensors \([\d,]+ parameters\) from google\/switch-tiny \(huggingface\)\n/,
    )
  })

  it('is inspected, scored on a file, and compared with recorded values', async () => {
    const inspected = await cli.run('inspect', 'google/switch-tiny', '--revision', 'main')
    expect(inspected.stdout).toMatch(/^google\/switch-tiny\n\n {2}stored as +huggingface, float32/)
    expect((await cli.run('inspect', 'google/switch-base-8')).stderr).toMatch(
      /there is no such model at .*; did you mean switch-base-8\?/,
    )
    const scored = await cli.run('eval', 'google/switch-tiny', '--data', 'pairs.tsv', '--examples', '1')
    expect(scored, scored.stderr).toMatchObject({ code: 0 })
    expect((await cli.run('eval', 'google/switch-tiny')).stderr).toContain(
      'google/switch-tiny: a model of the hub has no task of its own: give --data',
    )
    await hub.addFolder('google-t5/t5-small', join(scratch, 'model'))
    expect((await cli.run('infer', 't5-small', 'The cat sat', '--max-new-tokens', '4')).stdout).toMatch(
      /^The cat sat\t/,
    )
    await hub.addFolder('someone/case', fileURLToPath(new URL('../fixtures/cases/33-metadata-null', import.meta.url)))
    const verified = await cli.run('verify', 'someone/case')
    expect(verified.stdout).toContain('2 tensors compared, all within the tolerance')
  })

  it('of sentence-transformers is fetched with its modules, and gives the vectors of its folder', async () => {
    const folder = fileURLToPath(new URL('../fixtures/embed/sentence-t5', import.meta.url))
    await hub.addFolder('sentence-transformers/tiny', folder)
    const [fetched, local] = [
      await cli.run('embed', 'sentence-transformers/tiny', 'A cat'),
      await cli.run('embed', folder, 'A cat'),
    ]
    expect(fetched, fetched.stderr).toMatchObject({ code: 0, stdout: local.stdout })
    expect((JSON.parse(local.stdout) as number[]).length).toBe(12)
  })

  it('can be converted, at a revision', async () => {
    const commit = await readFile(join(scratch, 'cache/models--google--switch-tiny/refs/main'), 'utf8')
    expect(
      await cli.run(
        'convert',
        'google/switch-tiny',
        'small',
        '--to',
        'native',
        '--dtype',
        'int8',
        '--revision',
        commit.trim(),
      ),
    ).toMatchObject({ code: 0 })
    expect((await cli.run('infer', 'small', 'The cat sat', '--max-new-tokens', '4')).stdout).toMatch(/^The cat sat\t/)
    expect((await infer('--revision', 'nosuch')).stderr).toContain('there is no revision "nosuch" of this model')
    expect((await cli.run('infer', 'google/nosuch', 'a')).stderr).toContain('google/nosuch: there is no such model at')
  })
})
