/** Switchyard as a contestant: trains the benchmark model, by commands on stdin. */
import { parseArgs } from 'node:util'
import { flatten } from '../src/base/pytree.js'
import { hostFrom, hostTensor } from '../src/base/host-tensor.js'
import { defaultEngine, fromHost, hostView } from '../src/engine/api/tensor.js'
import type { Tensor } from '../src/engine/api/tensor.js'
import { jit } from '../src/engine/api/jit.js'
import * as np from '../src/engine/api/np.js'
import * as random from '../src/engine/api/random.js'
import { flattenArgs, rebuild, traceTree } from '../src/engine/api/tracing.js'
import type { TensorTree } from '../src/engine/api/tracing.js'
import { productFlops } from '../src/engine/program/cost.js'
import { simplify } from '../src/engine/transform/simplify.js'
import type { RouterConfig } from '../src/model/config.js'
import { initParameters } from '../src/model/init.js'
import { countParameters, declareParameters } from '../src/model/parameters.js'
import type { Preset } from '../src/model/presets.js'
import type { Batch } from '../src/model/types.js'
import { trainingLoss } from '../src/train/loss.js'
import { adafactor } from '../src/train/optimizers/adafactor.js'
import { adamW } from '../src/train/optimizers/adamw.js'
import { trainStepFunction } from '../src/train/step.js'
import type { StepInputs, TrainArrays } from '../src/train/step.js'
import { useBackend } from './backend.js'
import { peakIntermediateBytes } from './cost.js'
import {
  LEARNING_RATE,
  benchmarkModel,
  benchmarkRouter,
  pretrainedSwitch,
  randomTokens,
  shapes,
  t5Small,
} from './model.js'
import type { BatchSizes, ShapeName } from './model.js'
import { serve } from './protocol.js'
import type { SwitchyardReady } from './protocol.js'

const seconds = (since: number): number => (performance.now() - since) / 1000

function trainingBatch({ batch: rows, encoderLength, decoderLength }: BatchSizes, vocabSize: number): Batch {
  const ids = (length: number, data: Int32Array): Tensor =>
    fromHost(
      hostTensor(
        'int32',
        [rows, length],
        data.map(id => id % vocabSize),
      ),
    )
  const targets = randomTokens(1, rows * decoderLength)
  return {
    encoder_input_tokens: ids(encoderLength, randomTokens(0, rows * encoderLength)),
    decoder_input_tokens: ids(
      decoderLength,
      targets.map((_, i) => (i % decoderLength === 0 ? 0 : targets[i - 1])),
    ),
    decoder_target_tokens: ids(decoderLength, targets),
    decoder_loss_weights: fromHost(
      hostTensor('int32', [rows, decoderLength], new Int32Array(rows * decoderLength).fill(1)),
    ),
  }
}

const { values: options } = parseArgs({
  options: {
    shape: { type: 'string', default: 'bench' },
    experts: { type: 'string', default: '8' },
    dense: { type: 'boolean', default: false },
    dropless: { type: 'boolean', default: false },
    'op-by-op': { type: 'boolean', default: false },
  },
})
const isXla = (await useBackend()) === 'xla'
const shape = options.shape as ShapeName
const { model, router } = presetOf(shape)
const specs = declareParameters(model, router)
const optimizer = isSwitch(shape) ? adafactor(specs) : adamW()
const trainStep = trainStepFunction(trainingLoss(model, router), optimizer, null)

const initialParams = initParameters(specs, random.key(0))
let arrays: TrainArrays = { params: initialParams, optimizer: optimizer.init(initialParams) }
await computed(arrays)

let count = 0
const [batch, key] = [trainingBatch(shapes[shape], model.vocabSize), random.key(1)]
const inputs = (): StepInputs<Batch> => ({
  batch,
  key,
  step: fromHost(hostFrom('int32', [], [count++])),
  learningRate: fromHost(hostFrom('float32', [], [LEARNING_RATE])),
})

// The steps of jit one by one, so that each can be timed.
const begin = performance.now()
const { values, def } = flattenArgs([arrays, inputs()])
const { program, captured, outputDef } = traceTree(trainStep, def, values)
const traceSeconds = seconds(begin)
const donated = values.map((_, i) => i < flatten<Tensor>(arrays).leaves.length)
const beginCompile = performance.now()
const { stats } = options['op-by-op']
  ? { stats: { nodes: 0, fusedLoops: 0 } }
  : await defaultEngine().compile(program, donated)
const compileSeconds = seconds(beginCompile)

/** The model of a shape, with its router. */
function presetOf(name: ShapeName): Preset {
  if (isSwitch(name)) return pretrainedSwitch(name)
  const routing: RouterConfig = options.dropless ? { ...benchmarkRouter, trainCapacityFactor: null } : benchmarkRouter
  return {
    model: name === 't5-small' ? t5Small : benchmarkModel(options.dense ? 0 : Number(options.experts)),
    router: routing,
  }
}

function isSwitch(name: ShapeName): name is 'switch-base-8' | 'switch-tiny' {
  return name.startsWith('switch-')
}

/**
 * Waits until arrays are computed. XLA has computed all results of a program when it has computed one, and reading them
 * all would copy them from the device.
 */
async function computed(tree: TensorTree): Promise<void> {
  const { leaves } = flatten<Tensor>(tree)
  if (!isXla) return void (await Promise.all(leaves.map(hostView)))
  await hostView(leaves.reduce((a, b) => (b.size < a.size ? b : a)))
}

function wholeStep(): ReturnType<typeof trainStep> {
  const results = defaultEngine().run(
    program,
    [...flattenArgs([arrays, inputs()]).values, ...captured],
    donated,
    'trainStep',
  )
  return rebuild<ReturnType<typeof trainStep>>(outputDef, results)
}

const simplified = simplify(program)
const ready: Omit<SwitchyardReady, 'ready' | 'peakRssBytes'> = {
  name: options['op-by-op'] ? 'switchyard, op by op' : 'switchyard',
  backend: await defaultEngine().backend.describe(),
  traceSeconds: options['op-by-op'] ? 0 : traceSeconds,
  compileSeconds: options['op-by-op'] ? 0 : compileSeconds,
  parameters: countParameters(specs),
  flops: productFlops(simplified),
  stateBytes: flatten<Tensor>(arrays).leaves.reduce((n, a) => n + 4 * a.size, 0),
  activationBytes: peakIntermediateBytes(simplified),
  nodes: stats.nodes,
  fusedLoops: stats.fusedLoops,
}
await serve(ready, {
  step: async n => {
    const stepSeconds: number[] = []
    let loss = NaN
    for (let i = 0; i < n; i++) {
      const start = performance.now()
      const result = options['op-by-op'] ? trainStep(arrays, inputs()) : wholeStep()
      arrays = result.arrays
      // A step ends when the new state is computed, not only the loss.
      await computed(result)
      stepSeconds.push(seconds(start))
      loss = await result.metrics.loss.item()
    }
    return { stepSeconds, loss }
  },

  // The fastest of n large matrix products in the training process: the speed that defines a step's lower bound.
  gemm: async n => {
    const size = 1536
    const product = jit((x: Tensor, y: Tensor) => np.matmul(x, y))
    const [x, y] = [random.normal(random.key(2), [size, size]), random.normal(random.key(3), [size, size])]
    await hostView(product(x, y))
    let best = Infinity
    for (let i = 0; i < n; i++) {
      const start = performance.now()
      await hostView(product(x, y))
      best = Math.min(best, seconds(start))
    }
    return { flopsPerSecond: (2 * size ** 3) / best }
  },
})
