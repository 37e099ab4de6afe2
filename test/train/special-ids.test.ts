import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { T5_SPECIAL_IDS } from '../../src/base/special-ids.js'
import type { SpecialIds } from '../../src/base/special-ids.js'
import { newWeights, readParameters } from '../../src/checkpoint/weights.js'
import type { Weights } from '../../src/checkpoint/weights.js'
import { hostTensor, toNumbers } from '../../src/base/host-tensor.js'
import { tokenize } from '../../src/data/features.js'
import { TrainIterator } from '../../src/data/iterator.js'
import { packBatch } from '../../src/data/open-rows.js'
import type { PackedSize } from '../../src/data/open-rows.js'
import { makeTask } from '../../src/data/task.js'
import { seqioBatches } from '../../src/data/batches/seqio-order.js'
import { targetEosOf, withModelEos } from '../../src/data/packing/target-eos.js'
import { jit } from '../../src/engine/api/jit.js'
import { valueAndGrad } from '../../src/engine/api/transforms.js'
import type { ModelConfig } from '../../src/model/config.js'
import { lossFunction } from '../../src/model/loss.js'
import type { Batch, ModelParams } from '../../src/model/types.js'
import { TextGenerator } from '../../src/infer/text-generator.js'
import { teacherOf } from '../../src/open/frozen-model.js'
import type { FrozenModel } from '../../src/open/frozen-model.js'
import { openBaseModel } from '../../src/open/base-model.js'
import { openTextModel } from '../../src/open/text-model.js'
import type { Vocabulary } from '../../src/text/vocabulary.js'
import { batchOf } from '../../src/train/batch.js'
import { packedSplit } from '../../src/train/packed-split.js'
import type { Origin } from '../../src/train/restore/origin.js'
import { Trainer } from '../../src/train/trainer.js'
import { config, examples, task } from './small-run.js'

const { codec } = task
const size = { rows: 3, inputLength: 16, targetLength: 16 }
const model: ModelConfig = { ...config.model, dropoutRate: 0 }
const router = { ...config.router, jitterNoise: 0, expertDropoutRate: 0 }
const weights = newWeights('small', model, router, 4)

/** T5's ids 0, 1, 2 and those of symbols, in another order. */
const moved = (id: number): number => (id + 5) % model.vocabSize
const movedIds: SpecialIds = { padId: moved(0), eosIds: [moved(1)], decoderStartId: moved(0) }

/** A vocabulary with the same tokens under other ids. */
const movedVocabulary = (vocabulary: Vocabulary): Vocabulary => {
  const back = new Map(Array.from({ length: vocabulary.size }, (_, id) => [moved(id), id]))
  return Object.create(vocabulary, {
    padId: { value: moved(vocabulary.padId) },
    eosId: { value: moved(vocabulary.eosId) },
    encode: { value: (text: string) => vocabulary.encode(text).map(moved) },
    decode: { value: (ids: Iterable<number>) => vocabulary.decode(Array.from(ids, id => back.get(id)!)) },
  }) as Vocabulary
}
const movedCodec = {
  ...codec,
  inputs: movedVocabulary(codec.inputs),
  targets: movedVocabulary(codec.targets),
}

/** The weights of a model with the same embedding of each token under its other id. */
const movedWeights: Weights = {
  ...weights,
  model: { ...model, specialIds: movedIds },
  read: async path => {
    const tensor = await weights.read(path)
    if (path !== 'token_embedder/embedding') return tensor
    const [vocab, width] = tensor.shape
    const [from, to] = [toNumbers(tensor), new Float32Array(vocab * width)]
    for (let id = 0; id < vocab; id++) to.set(from.slice(id * width, (id + 1) * width), moved(id) * width)
    return hostTensor('float32', tensor.shape, to)
  },
}

/** The loss of the first examples, and the gradient of a norm. */
async function lossOf(of: Weights, tokens: Parameters<typeof tokenize>[0], packing: PackedSize) {
  const some = examples.slice(0, 12).map(example => tokenize(tokens, example))
  const batch = batchOf(packBatch(some, packing).features)
  const options = { config: of.model, router: of.router, mode: 'eval' } as const
  const params = await readParameters(of)
  const step = jit(valueAndGrad((p: ModelParams, b: Batch) => lossFunction(p, b, options)[0]))
  const [loss, gradients] = step(params, batch)
  const { decoder } = gradients as ModelParams
  return { loss: await loss.item(), gradient: await decoder.decoder_norm.scale.numbers() }
}

describe('training with special ids other than T5s', () => {
  it.each([true, false])(
    'gives the loss and gradients of the same model under other ids, packing: %s',
    async packing => {
      const expected = await lossOf(weights, codec, { ...size, packing })
      const actual = await lossOf(movedWeights, movedCodec, { ...size, packing, specialIds: movedIds })
      expect(actual.loss).toBeCloseTo(expected.loss, 5)
      actual.gradient.forEach((x, i) => expect(x).toBeCloseTo(expected.gradient[i], 5))
    },
  )

  it('counts an EOS as a target where padding has the same id', async () => {
    const specialIds = { padId: 1, eosIds: [1], decoderStartId: 0 }
    const same = { ...weights, model: { ...model, specialIds } }
    const expected = await lossOf(weights, codec, size)
    const actual = await lossOf(same, codec, { ...size, specialIds })
    expect(actual.loss).toBeCloseTo(expected.loss, 6)
  })

  it('starts the decoder from its own id, and a teacher from the id of the teacher', async () => {
    const start = { ...T5_SPECIAL_IDS, decoderStartId: 4 }
    const two = examples.slice(0, 12).map(example => tokenize(codec, example))
    const batch = (decoderStartId: number): Batch =>
      batchOf(packBatch(two, { ...size, specialIds: { ...T5_SPECIAL_IDS, decoderStartId } }).features)
    const params = await readParameters(weights)
    const frozen = { params, model: { ...model, specialIds: start }, router, values: {} } as FrozenModel
    const { logits } = teacherOf(frozen)
    const [own, student] = [logits(batch(4)), logits(batch(0))]
    expect(await student.numbers()).toEqual(await own.numbers())
    expect((await batch(4).decoder_input_tokens.numbers())[0]).toBe(4)
  })

  it('takes the ids of the vocabulary for a new model', async () => {
    const own = { ...makeTask({ name: 'moved', codec: movedCodec, examples }), split: () => examples }
    expect((await Trainer.begin(config, { task: own })).config.model.specialIds).toEqual(movedIds)
  })

  it('keeps the ids of a model that is fine-tuned, in its run too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-ids-'))
    const base = await openBaseModel('test/fixtures/cases/03-start-config3', () => undefined)
    try {
      const pairs = [{ input: 'a dog', target: 'dog', alternatives: [] }]
      const own = { ...makeTask({ name: 'dogs', codec: base.codec, examples: pairs }), split: () => pairs }
      const { model: start, router: given } = base.start.weights
      const tuned = { ...config, model: start, router: given, train: { ...config.train, steps: 1 } }
      const from: Origin = { path: 'x', container: 'huggingface', step: 0, optimizer: 'fresh', rules: [] }
      const trainer = await Trainer.begin({ ...tuned, from }, { task: own }, base.start)
      await trainer.run(folder)
      const run = await openTextModel(folder)
      expect(run.options.config.specialIds).toEqual({ padId: 0, eosIds: [1], decoderStartId: 3 })
    } finally {
      await base.close()
      await rm(folder, { recursive: true })
    }
  })

  it("teaches a model whose EOS is not its vocabulary's to end with its own", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-eos-'))
    const pairs = ['a', 'b'].map(text => ({ input: `${text} ${text}`, target: text, alternatives: [] }))
    try {
      await cp('test/fixtures/cases/24-lora-base', folder, { recursive: true })
      for (const name of ['config.json', 'generation_config.json'].map(file => join(folder, file))) {
        const json = JSON.parse(await readFile(name, 'utf8')) as object
        await writeFile(name, JSON.stringify({ ...json, eos_token_id: [7, 9] }))
      }
      const base = await openBaseModel(folder, () => undefined)
      const { model: start, router: given } = base.start.weights
      const own = { ...makeTask({ name: 'letters', codec: base.codec, examples: pairs }), split: () => pairs }
      const train = { ...config.train, steps: 60, rows: 1, labelSmoothing: 0, checkpointEvery: 60 }
      const from: Origin = { path: 'x', container: 'huggingface', step: 0, optimizer: 'fresh', rules: [] }
      const trainer = await Trainer.begin(
        { ...config, model: start, router: given, train, from },
        { task: own },
        base.start,
      )
      await trainer.run(join(folder, 'run'))
      await base.close()
      const generator = new TextGenerator(await openTextModel(join(folder, 'run')))
      const [[answer]] = await generator.answerAll(['a a'])
      expect(answer).toMatchObject({ text: 'a', tokens: [...base.codec.targets.encode('a'), 7] })
      const score = await generator.score('a a', 'a')
      expect(score.tokens).toEqual(answer.tokens)
      expect(score.score).toBeGreaterThan(-1)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it("ends the targets of every kind of batch with the model's EOS", async () => {
    const some = examples.slice(0, 12)
    const own = { ...makeTask({ name: 'some', codec, examples: some }), split: () => some }
    const targetEos = targetEosOf(codec, { eosIds: [6, 9] })
    const whole = { ...size, rows: 2, seed: 0, targetEos }
    const iterators = [{}, { packing: false }, { packing: false, buckets: 2 }].map(
      options => new TrainIterator(own.tokens('train'), { ...whole, ...options }),
    )
    const batches = [
      ...iterators.map(iterator => iterator.next().features),
      (await seqioBatches(own, { ...whole, shuffleBuffer: 0 }).next()).features,
      ...packedSplit(own, 'train', { ...whole, limit: null }),
    ]
    for (const { decoder_target_tokens: targets } of batches) {
      expect(targets.data).toContain(6)
      expect(targets.data).not.toContain(codec.targets.eosId)
    }
    expect(targetEosOf(codec, { eosIds: [6, codec.targets.eosId] })).toBeUndefined()
    const cut = Int32Array.of(codec.targets.eosId, 5)
    expect(withModelEos(cut, targetEos)).toEqual(cut)
  })
})
