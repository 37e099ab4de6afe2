import { describe, expect, it } from 'vitest'
import { recipes } from '../config/recipes.js'
import { defineTask } from '../data/define-task.js'
import { rankClassification as rankPostprocessor } from '../data/postprocessors/postprocessors.js'
import { rankClassificationFormatter as rankFormatter } from '../data/preprocessors/text/text.js'
import { functionSource } from '../data/sources/iterable-source.js'
import { makeTask, taskCodec } from '../data/task.js'
import type { Task } from '../data/task.js'
import { makeVocabularies } from '../data/tokenizers/tokenizers.js'
import { TextGenerator } from '../infer/text-generator.js'
import { rankClassification } from '../metrics/groups/rank-classification.js'
import type { RankedCandidate } from '../metrics/groups/rank-classification.js'
import { predictionMetric, scoreMetric } from '../metrics/metric.js'
import type { Figures, Metric } from '../metrics/metric.js'
import type { RunConfig } from './config.js'
import { evaluate, scorePredictions, trainedTextModel } from './evaluate.js'
import { Trainer } from './trainer.js'

const examples = Array.from({ length: 6 }, (_, i) => ({
  input: i.toString(2),
  target: i.toString(16).repeat(i + 1),
  alternatives: [],
  fields: { label: i },
}))
const codec = taskCodec(await makeVocabularies({ inputs: 'characters', targets: 'characters' }, examples))
const task: Task = { ...makeTask({ name: 'hex', codec, examples }), split: () => examples }

const config: RunConfig = {
  ...recipes.g2p,
  task: { kind: 'custom', name: 'hex' },
  model: { ...recipes.g2p.model, vocabSize: codec.vocabSize, dModel: 8, dFf: 16, numHeads: 2, headDim: 4 },
}

describe('evaluate', () => {
  it('gives a metric of scores the log-likelihood of each target, and generates nothing', async () => {
    let generated: readonly number[] = []
    const sum = scoreMetric((_, scores) => {
      generated = scores
      return { sum: scores.reduce((a, b) => a + b, 0) }
    })
    const { params } = await Trainer.begin(config, { task })
    const options = { split: 'test', limit: null, metrics: [sum] } as const
    const progress: number[] = []
    const result = await evaluate(params, config, task, { ...options, onProgress: done => progress.push(done) })
    expect([result.predictions, result.right]).toEqual([null, null])
    expect(progress).toEqual([0, 1, 2, 3, 4, 5, 6])
    const generator = new TextGenerator(trainedTextModel(params, config, codec))
    for (const [i, { input, target }] of examples.entries())
      expect(generated[i]).toBeCloseTo((await generator.score(input, target)).score, 4)
    expect(result.logLikelihoods).toEqual(generated)
    expect(new Set(generated).size).toBe(6)
  })
})

describe('a task of candidate answers', () => {
  it('is scored by the log-likelihoods of its candidates, as T5 ranks them', async () => {
    const stories = Array.from({ length: 6 }, (_, i) => ({ question: i.toString(2), no: '0', yes: '1', label: i % 2 }))
    const definition = defineTask({
      name: 'rank',
      source: functionSource('stories', () => stories, { splits: ['train', 'test'] }),
      preprocessors: [rankFormatter({ inputsFormats: '{question}', targetsFormats: ['{no}', '{yes}'], mode: 'eval' })],
      features: { inputs: { vocabulary: codec.inputs }, targets: { vocabulary: codec.targets } },
      postprocess: rankPostprocessor(),
      metrics: [
        scoreMetric((targets: readonly RankedCandidate[], scores) => {
          expect(targets.map(({ idx, targetLength }) => [...idx, targetLength])).toEqual(
            stories.flatMap((_, i) => [
              [i, 0, 2],
              [i, 1, 2],
            ]),
          )
          return rankClassification(targets, scores, { numClasses: 2 })
        }),
      ],
    })
    const ranked = await definition.load()
    const { params } = await Trainer.begin(config, { task })
    const { scores, logLikelihoods } = await evaluate(params, config, ranked, { split: 'test', limit: null })
    const right = stories.filter((_, i) => Number(logLikelihoods![2 * i + 1] > logLikelihoods![2 * i]) === i % 2)
    expect(scores[0].figures.accuracy).toBeCloseTo((100 * right.length) / stories.length, 10)
    expect(Object.keys(scores[0].figures)).toEqual(['accuracy', 'f1', 'auc-roc', 'auc-pr'])
  })
})

describe('scorePredictions', () => {
  it('applies the postprocessor to targets and predictions, with the fields of their example', () => {
    const postprocess: Task['postprocess'] = (text, { example, isTarget }) =>
      isTarget ? [example.label, text, example.targets, example.targets_pretokenized] : text.toUpperCase()
    const seen = predictionMetric((targets, predictions) => {
      expect([targets, predictions]).toEqual([[[0, '0', Int32Array.of(...codec.targets.encode('0'), 1), '0']], ['A']])
      return { seen: 1 }
    })
    const { scores, right } = scorePredictions({ postprocess, codec }, [seen], examples.slice(0, 1), ['a'], null)
    expect([scores[0].figures, right]).toEqual([{ seen: 1 }, [false]])
  })

  it('judges single answers by the first metric that can, otherwise by equality', () => {
    const any = predictionMetric(() => ({ figure: 1 }), { isRight: () => true })
    const none = predictionMetric(() => ({ figure: 1 }))
    const judge = (metrics: (typeof any)[]) =>
      scorePredictions({ codec }, metrics, examples.slice(0, 2), ['0 ', '1'], null).right
    expect(judge([none, any])).toEqual([true, true])
    expect(judge([none])).toEqual([true, false])
  })

  it('names the task and the function that returns a value of a wrong kind', () => {
    const named = { name: 'hex', codec }
    const score = (metric: unknown, postprocess?: unknown): unknown =>
      scorePredictions(
        { ...named, postprocess: postprocess as Task['postprocess'] },
        [metric as Metric],
        examples,
        examples.map(e => e.target),
        null,
      )
    const metric = (returned: unknown): Metric => predictionMetric(() => returned as Figures, { name: 'hits' })
    expect(() => score(metric(undefined))).toThrow(
      'the task hex: the metric hits returned undefined: expected numbers by name, such as { accuracy: 0.9 }',
    )
    expect(() => score(metric(0.5))).toThrow('the metric hits returned a number')
    expect(() => score(metric({ hits: 'many' }))).toThrow('returned an object with the keys hits')
    expect(() => score(metric({}))).toThrow('with the keys (none)')
    expect(() => score(metric({ hits: 1 }), () => undefined)).toThrow(
      'the task hex: postprocess returned undefined for the target "0"',
    )
    expect(() => score(metric({ hits: 1 }), async (text: string) => text)).toThrow('returned a Promise')
  })

  it('computes no figures without examples', () => {
    const fails = predictionMetric(() => {
      throw new Error('called')
    })
    expect(scorePredictions({ codec }, [fails], [], [], null).scores).toEqual([])
  })
})
