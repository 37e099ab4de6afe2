import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeHfWeights } from '../checkpoint/names/hf-folder.js'
import { newWeights } from '../checkpoint/weights.js'
import { convertWeights } from '../cli/convert/conversion.js'
import { baseModel, baseRouter } from '../model/presets.js'
import { Trainer } from '../train/trainer.js'
import { openBaseModel } from './base-model.js'
import { config, task } from '../../test/train/small-run.js'
import { smallSizes } from '../../test/small-model.js'

describe('a model to fine-tune', () => {
  let scratch: string
  const at = (...names: string[]): string => join(scratch, ...names)
  const experts = { encoderSparseLayers: [1], decoderSparseLayers: [1], numExperts: 4 }
  const model = { ...baseModel, ...smallSizes, ...experts, vocabSize: 384, dtype: 'float32' } as const

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'switchyard-base-'))
    const tokenizer = JSON.stringify({ tokenizer_class: 'ByT5Tokenizer', extra_ids: 125 })
    const files = { 'tokenizer_config.json': new TextEncoder().encode(tokenizer) }
    await writeHfWeights(at('hf'), newWeights('tiny', model, baseRouter, 0), { files })
    await convertWeights(at('hf'), at('native'), { to: 'native' })
    await convertWeights(at('hf'), at('checkpoint_0'), { to: 't5x' })
    await convertWeights(at('checkpoint_0'), at('back'), { to: 'safetensors' })
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  it('has the same weights and vocabulary in every format, as convert writes them', async () => {
    const path = 'decoder/layers_1/mlp/expert/wi/kernel'
    const parts = []
    for (const [name, container] of Object.entries({
      hf: 'huggingface',
      native: 'native',
      checkpoint_0: 't5x',
      back: 'huggingface',
    })) {
      const notices: string[] = []
      const base = await openBaseModel(at(name), notice => notices.push(notice))
      expect(base.start.weights.container).toBe(container)
      expect(notices).toEqual([])
      parts.push({
        specs: base.start.weights.specs.map(spec => spec.path),
        kernel: (await base.start.weights.read(path)).data,
        ids: base.codec.inputs.encode('é1'),
      })
      await base.close()
    }
    expect(parts[0].ids).toEqual([198, 172, 52])
    for (const part of parts) expect(part).toEqual(parts[0])
  })

  it('may be a run whose optimizer state is damaged, unless that is to be restored', async () => {
    const run = at('run')
    await (await Trainer.begin(config, { task })).run(run)
    const { steps } = config.train
    await writeFile(join(run, `step-${steps}`, 'optimizer.safetensors'), 'short')
    const notices: string[] = []
    const base = await openBaseModel(run, notice => notices.push(notice))
    try {
      expect(notices.join()).toContain('optimizer.safetensors: the file has 5 bytes')
      const begin = (optimizer: 'fresh' | 'restored'): Promise<Trainer> => {
        const from = { path: run, container: 'native', step: steps, optimizer, rules: [] }
        return Trainer.begin({ ...config, from }, { task }, base.start)
      }
      await expect(begin('restored')).rejects.toThrow(
        `step-${steps}: the optimizer's state of this checkpoint is missing or damaged: give the folder of an older checkpoint`,
      )
      expect((await begin('fresh')).step).toBe(0)
    } finally {
      await base.close()
    }
  })
})
