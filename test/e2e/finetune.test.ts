import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../../src/checkpoint/weights.js'
import { baseModel, baseRouter } from '../../src/model/presets.js'
import { CalledCli } from './called-cli.js'

let cli: CalledCli
const at = (...names: string[]): string => join(cli.folder, ...names)

/** A folder as ByT5 is published, but tiny and with experts. */
async function writeTinyByT5(folder: string): Promise<void> {
  const sizes = {
    vocabSize: 384,
    dModel: 16,
    dFf: 32,
    numHeads: 2,
    headDim: 8,
    numEncoderLayers: 2,
    numDecoderLayers: 2,
  }
  const experts = { encoderSparseLayers: [1], decoderSparseLayers: [1], numExperts: 2 }
  const model = { ...baseModel, ...sizes, ...experts, dtype: 'float32' } as const
  const tokenizer = JSON.stringify({ tokenizer_class: 'ByT5Tokenizer', extra_ids: 125 })
  await writeHfWeights(folder, newWeights('tiny', model, baseRouter, 0), {
    files: { 'tokenizer_config.json': new TextEncoder().encode(tokenizer) },
  })
}

const pairs = (count: number): string => Array.from({ length: count }, (_, i) => `${i}\t${i.toString(16)}\n`).join('')

const settings = (values: Record<string, string | number>): string[] =>
  Object.entries(values).flatMap(([path, value]) => ['--set', `${path}=${value}`])
const short = settings({ 'train.steps': 4, 'train.rows': 2, 'train.checkpointEvery': 2, 'train.evalExamples': 2 })

beforeAll(async () => {
  cli = await CalledCli.create()
  await writeTinyByT5(at('byt5'))
  await writeFile(at('pairs.tsv'), pairs(120))
  await writeFile(at('more.tsv'), pairs(150))
})
afterAll(() => cli?.remove())

describe('switchyard finetune', () => {
  it('trains a Hugging Face model with its own vocabulary, into a run that needs the model no longer', async () => {
    const taken = vi.spyOn(Worker.prototype, 'postMessage')
    const { code, stdout, stderr } = await cli.run('finetune', 'byt5', '--data', 'pairs.tsv', ...short)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    // The batches are made in a worker thread: it hears of each batch that is taken, and prepares another in its place.
    expect(taken).toHaveBeenCalledWith('taken')
    taken.mockRestore()
    expect(stdout).toContain('training in runs/byt5-pairs\n')
    expect(stdout).toMatch(/restored 49 of 49 tensors \([\d,]+ parameters\) from .*byt5 \(huggingface\)\n/)
    expect(stdout).toContain('the state of the optimizer (adafactor) is fresh\n')
    expect(stdout).toMatch(/on 2 of the \d+ held-out pairs/)
    expect(stdout).toContain('npx switchyard train --resume runs/byt5-pairs --set train.steps=16')
    await rm(at('byt5'), { recursive: true })
    expect(await cli.run('infer', 'runs/byt5-pairs', '12')).toMatchObject({ code: 0, stderr: '' })
    expect((await cli.run('eval', 'runs/byt5-pairs', '--examples', '2')).code).toBe(0)
    const longer = await cli.run('train', '--resume', 'runs/byt5-pairs', '--set', 'train.steps=6')
    expect(longer, longer.stderr).toMatchObject({ code: 0 })
    expect(longer.stdout).toContain('resuming runs/byt5-pairs from step 4 of 6')
  })

  it('saves the restored weights at once, and resumes exactly from any checkpoint', async () => {
    await writeTinyByT5(at('byt5'))
    const whole = [...short, ...settings({ 'train.keep': 9 })]
    expect((await cli.run('finetune', 'byt5', '--data', 'pairs.tsv', ...whole, '--out', 'runs/whole')).code).toBe(0)
    const files = (await readdir(at('runs/whole'))).sort()
    expect(files).toEqual([
      expect.stringMatching(/^events\.out\.tfevents\./),
      'metrics.jsonl',
      'sources.json',
      'step-0',
      'step-2',
      'step-4',
    ])
    const params = (step: string): Promise<Buffer> => readFile(at('runs/whole', step, 'params.safetensors'))
    const last = await params('step-4')
    await rm(at('runs/whole/step-2'), { recursive: true })
    await rm(at('runs/whole/step-4'), { recursive: true })
    await rm(at('byt5'), { recursive: true })
    const resumed = await cli.run('train', '--resume', 'runs/whole')
    expect(resumed.stdout).toContain('resuming runs/whole from step 0 of 4')
    expect(await params('step-4')).toEqual(last)
  })

  it('trains adapters only; the run is converted with them merged, or they alone', async () => {
    await rm(at('byt5'), { recursive: true, force: true })
    await writeTinyByT5(at('byt5'))
    const lora = settings({ 'train.lora.rank': 2, 'train.schedule.peak': 0.05 })
    const run = await cli.run('finetune', 'byt5', '--data', 'pairs.tsv', ...short, ...lora, '--out', 'runs/lora')
    expect(run, run.stderr).toMatchObject({ code: 0 })
    expect(run.stdout).toContain('trained: 12 adapters of rank 2 (')
    const merged = await cli.run('convert', 'runs/lora', 'merged', '--to', 'hf')
    expect(merged, merged.stderr).toMatchObject({ code: 0 })
    expect((await readdir(at('merged'))).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer_config.json',
    ])
    expect((await cli.run('infer', 'merged', '12', '34')).stdout).toBe(
      (await cli.run('infer', 'runs/lora', '12', '34')).stdout,
    )
    expect(merged.stdout).toBe(
      'written to merged, and opened again as infer does: its weights, vocabulary and configuration are complete\nto see what it holds: npx switchyard inspect merged\n',
    )
    for (const format of ['t5x', 'native'])
      expect(await cli.run('convert', 'merged', format, '--to', format)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(`^written to ${format}, and opened again as infer does: `) as string,
      })
    expect(await cli.run('convert', 'runs/lora', 'adapters', '--to', 'peft')).toMatchObject({
      code: 0,
      stdout:
        'written to adapters, and opened again; these are adapters alone, which PEFT and infer merge into their base; runs/lora has them, too\n',
    })
    expect((await cli.run('infer', 'adapters', '12', '34')).stdout).toBe(
      (await cli.run('infer', 'runs/lora', '12', '34')).stdout,
    )
    expect((await readdir(at('adapters'))).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors'])
    expect((await cli.run('convert', 'merged', 'none', '--to', 'peft')).stderr).toContain('there are no adapters here')
  })

  it('goes on from a run when its data has grown, as the refusal to resume says', async () => {
    await writeFile(at('grown.tsv'), pairs(110))
    expect(
      (await cli.run('train', '--data', 'grown.tsv', ...short, '--set', 'train.schedule.warmupSteps=1')).code,
    ).toBe(0)
    await writeFile(at('grown.tsv'), pairs(140))
    const refused = await cli.run('train', '--resume', 'runs/grown', '--set', 'train.steps=8')
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('switchyard finetune RUN --data FILE')
    const restored = ['--set', 'from.optimizer=restored']
    const { code, stdout, stderr } = await cli.run(
      'finetune',
      'runs/grown',
      '--data',
      'grown.tsv',
      ...short,
      ...restored,
    )
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'as in the training of runs/grown: --input 1 --target 2\n',
    })
    expect(stdout).toMatch(/restored 49 of 49 tensors .* from .*runs\/grown \(run, after 4 steps\)/)
    expect(stdout).toContain('the state of the optimizer (adamW) is restored, after 4 updates\n')
  })

  it('says what is wrong before it makes a folder', async () => {
    const before = await readdir(at('runs'))
    const run = (...args: string[]) => cli.run('finetune', 'runs/grown', ...args, ...short)
    expect((await run()).stderr).toBe('switchyard: give --data with a file of your own, or --task with a task\n')
    expect((await run('--data', 'pairs.tsv', '--set', 'model.dFf=64')).stderr).toContain(
      'encoder/layers_0/mlp/wi/kernel [128,64] is [128,256] there',
    )
    expect((await run('--task', 'g3p')).stderr).toContain('there is no task "g3p"')
    expect(await readdir(at('runs'))).toEqual(before)
  })
})
