import { beforeAll, describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../../base/pytree.js'
import { setBackend } from '../../engine/api/engine.js'
import * as np from '../../engine/api/np.js'
import * as random from '../../engine/api/random.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { shardMap } from '../../engine/api/shard-map.js'
import { referenceBackend } from '../../engine/compile/reference/backend.js'
import { Mesh, P } from '../../engine/program/sharding.js'
import type { ModelConfig, RouterConfig } from '../../model/config.js'
import type { Batch } from '../../model/types.js'
import { adafactor, near } from '../../../test/train/mesh-runs.js'
import { meshedModel } from '../../../test/train/meshed-run.js'
import { config } from '../../../test/train/small-run.js'
import { accumulatedTrainStep } from '../accumulate.js'
import type { RunConfig } from '../config.js'
import { trainingLoss } from '../loss.js'
import { modelParts } from '../model-parts.js'
import type { LossWith, StepMetrics } from '../step.js'
import { trainStepWith } from '../step.js'
import { union } from '../trainable/partition.js'
import { devicePart } from './device-part.js'
import { layoutsOf } from './layouts.js'
import { meshOfRun, requireDivisible } from './mesh-config.js'
import type { MeshConfig } from './mesh-config.js'
import { batchAxes } from './rules.js'
import { spreadOver } from './spread.js'

/** A small model, on 8 rows. */
function settings(train: Partial<RunConfig['train']>, model: Partial<ModelConfig>, router: Partial<RouterConfig>) {
  return {
    model: { ...meshedModel.model, numHeads: 2, ...model },
    router: { ...meshedModel.router, zLossFactor: 0.01, ...router },
    train: { ...config.train, rows: 8, clipNorm: 0.5, ...train },
  }
}
type Settings = ReturnType<typeof settings>

/** Rows of unlike lengths, two examples in a row, and a row without targets: means must be over all devices' tokens. */
function batch(vocabSize: number, rows: number): Batch {
  const length = 16
  const at = (f: (row: number, i: number) => number): Tensor =>
    np.array(
      Array.from({ length: rows }, (_, row) => Array.from({ length }, (__, i) => f(row, i))),
      'int32',
    )
  const filled = (row: number): number => (row === 5 ? 0 : 4 + ((row * 5) % 12))
  const token = (row: number, i: number, salt: number): number =>
    i < filled(row) ? 2 + ((row * 31 + i * 7 + salt) % (vocabSize - 2)) : 0
  const segment = (row: number, i: number): number => (i >= filled(row) ? 0 : i < 3 ? 1 : 2)
  return {
    encoder_input_tokens: at((row, i) => token(row, i, 0)),
    decoder_input_tokens: at((row, i) => (i === 0 || i === 3 ? 0 : token(row, i, 4))),
    decoder_target_tokens: at((row, i) => token(row, i, 5)),
    decoder_loss_weights: at((row, i) => Number(i < filled(row))),
    encoder_segment_ids: at(segment),
    decoder_segment_ids: at(segment),
  }
}

interface Result {
  losses: number[]
  metrics: Record<string, number[]>
  params: Map<string, number[]>
}

/** Trains for some steps by the collectives of a mesh, or on one device. */
async function train(run: Settings, mesh: Partial<MeshConfig> | null, steps = 2): Promise<Result> {
  const { model, router, train: options } = run
  const parts = modelParts({ model, router, train: options }, {})
  const on = mesh && meshOfRun({ model, train: { ...options, mesh: { data: 1, expert: 1, tensor: 1, ...mesh } } })
  const minSize = options.optimizer.kind === 'adafactor' ? options.optimizer.minSizeToFactor : undefined
  const layouts = on && layoutsOf({ mesh: on, collectives: true }, parts.specs, parts.types(), minSize)
  const loss = trainingLoss(model, router, options, {}, undefined, spreadOver(layouts))
  const lossWith: LossWith<Batch> =
    frozen =>
    (params, ...rest) =>
      loss(union<Tensor>(params, frozen) as TensorTree, ...rest)
  const { optimizer } = parts
  const { clipNorm, accumulate } = options
  const make =
    accumulate === 1
      ? trainStepWith(lossWith, optimizer, clipNorm, { layouts })
      : accumulatedTrainStep(lossWith, optimizer, clipNorm, accumulate, { layouts })
  const { frozen, ...first } = parts.initialize()
  let arrays = first
  let metrics: StepMetrics = {}
  const losses: number[] = []
  const step = make(frozen)
  for (let i = 0; i < steps; i++) {
    const inputs = { key: random.key(5), step: np.array(i, 'int32'), learningRate: np.array(0.01) }
    const result = step(arrays, { ...inputs, batch: batch(model.vocabSize, options.rows) })
    arrays = result.arrays
    metrics = result.metrics
    losses.push(await metrics.loss.item())
  }
  const numbers = async (tree: TensorTree): Promise<[string, number[]][]> =>
    Promise.all(leavesWithPaths<Tensor>(tree).map(async ([path, x]) => [path, await x.numbers()]))
  return {
    losses,
    metrics: Object.fromEntries(await numbers(metrics)),
    params: new Map(await numbers(arrays.params)),
  }
}

function same(actual: Result, wanted: Result): void {
  near(actual.losses, wanted.losses, 'losses')
  expect(Object.keys(actual.metrics)).toEqual(Object.keys(wanted.metrics))
  for (const [name, values] of Object.entries(wanted.metrics)) near(actual.metrics[name], values, name)
  for (const [path, values] of wanted.params) near(actual.params.get(path)!, values, path)
}

describe('a step by collectives', () => {
  beforeAll(() => {
    setBackend(referenceBackend)
  })

  const cases: [string, Settings][] = [
    [
      "Adafactor, T5X's meaning, embeddings that are not tied",
      settings({ optimizer: adafactor, zLoss: 0.01, labelSmoothing: 0.1 }, { tiedLogits: false, reference: 't5x' }, {}),
    ],
    ["two parts of a batch, Hugging Face's meaning", settings({ accumulate: 2 }, { reference: 'hf' }, {})],
    [
      'no capacity, frozen experts',
      settings({ freeze: ['**/expert/**'] }, {}, { trainCapacityFactor: null, selectedExperts: 2 }),
    ],
  ]
  it.each(cases)('%s: gives the numbers of one device', async (_, run) => {
    const single = await train(run, null)
    expect(single.losses[1]).toBeLessThan(single.losses[0])
    same(await train(run, { data: 2, expert: 2 }), single)
  })

  it('gives the numbers of one device on two, of data or of experts', async () => {
    const run = settings({}, {}, {})
    const single = await train(run, null)
    for (const mesh of [{ data: 2 }, { expert: 2 }]) same(await train(run, mesh), single)
  })

  it('draws other random numbers on each device, and the same ones in each run', async () => {
    const mesh = new Mesh({ data: 2, expert: 2, tensor: 1 })
    const draw = shardMap(
      (key: Tensor) => random.bits(devicePart({ mesh, collectives: true, params: {} }).key(key), [1]),
      mesh,
      {
        in: P(),
        out: P(batchAxes),
      },
    )
    const numbers = await draw(random.key(3)).numbers()
    expect(new Set(numbers).size).toBe(4)
    const noisy = settings({}, { dropoutRate: 0.2 }, { jitterNoise: 0.1, expertDropoutRate: 0.2 })
    const [first, second] = [await train(noisy, { data: 2 }, 1), await train(noisy, { data: 2 }, 1)]
    expect(first).toEqual(second)
    expect(first.losses).not.toEqual((await train(noisy, null, 1)).losses)
  })

  it('needs a mesh without an axis tensor', () => {
    expect(() => requireDivisible({ mesh: { data: 1, expert: 1, tensor: 2 } }, 'onnx')).toThrow(
      'train.mesh tensor=2: the processes of the backend onnx divide a run over data and expert alone: ' +
        'leave tensor out, or train in one process with --backend xla',
    )
  })
})
