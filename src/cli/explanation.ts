import { formatBytes, formatCount, formatTable } from '../base/format.js'
import { flatten } from '../base/pytree.js'
import { toNumbers } from '../base/tensor.js'
import type { HostTensor } from '../base/tensor.js'
import { recipes } from '../config/recipes.js'
import type { RunConfig } from '../config/schema.js'
import { LETTERS, PHONEMES } from '../data/cmudict.js'
import { packBatch, tokenize } from '../data/features.js'
import { taskCodec } from '../data/task.js'
import { sideBySide } from '../data/vocabulary-lists.js'
import type { Array } from '../engine/api/array.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { makeProgram } from '../engine/api/transforms.js'
import { toGraph } from '../engine/compile/onnx/model.js'
import { cutUpdate } from '../engine/compile/segments.js'
import { canFuse } from '../engine/compile/wasm/codegen.js'
import type { Program } from '../engine/program/program.js'
import { simplify } from '../engine/transform/simplify.js'
import { initParameters } from '../model/init.js'
import { countParameters, declareParameters } from '../model/parameters.js'
import type { Batch, ModelParams } from '../model/types.js'
import { makeOptimizer } from '../train/optimizers/optimizers.js'
import { makePredictor } from '../train/predictor.js'
import { lossOf } from '../train/loss.js'
import { makeTrainStep, trainStepFunction } from '../train/step.js'

const examples = [
  { input: 'switch', target: 'S W IH CH' },
  { input: 'yard', target: 'Y AA R D' },
]

/** Large enough to learn two words, small enough to read. */
const config: RunConfig = {
  ...recipes.g2p,
  model: {
    ...recipes.g2p.model, dModel: 16, dFf: 32, numHeads: 2, headDim: 8, numEncoderLayers: 1, numDecoderLayers: 1,
    encoderSparseEvery: 1, decoderSparseEvery: 1, numExperts: 2,
  },
  train: { ...recipes.g2p.train, rows: 1, inputLength: 12, targetLength: 10 },
}
const steps = 60

/** The stages of one sentence's way, each as a text with a heading. */
export async function* explain({ full }: { full: boolean }): AsyncGenerator<string> {
  const { model, router, train } = config
  const { characters, words } = sideBySide(LETTERS, PHONEMES)
  const task = taskCodec({ name: 'g2p', source: { kind: 'cmudict' }, lowercase: true, inputs: characters, targets: words })
  const print = (program: Program): string => formatProgram(program, full)

  yield section('Text', 'Two examples of the task g2p: letters in, phonemes out.', examples.map(e => `${e.input} -> ${e.target}`).join('\n'))

  const { features } = packBatch(examples.map(e => tokenize(task, e)), train)
  yield section('Features', 'Both are tokens of one row; the segment ids keep them apart. 1 ends a sequence, 0 is padding.', formatFeatures(features))

  const specs = declareParameters(model, router)
  const params = initParameters(specs, random.key(0))
  const batch = Object.fromEntries(Object.entries(features).map(([name, tensor]: [string, HostTensor]) => [name, np.fromHost(tensor)])) as Batch
  const loss = lossOf(model, router)
  const key = random.key(1)
  yield section('Program', `The loss of a model with ${formatCount(countParameters(specs))} parameters, traced once, in the notation of JAX.`,
    print(makeProgram((p: ModelParams, b: Batch) => loss(p, b, key)[0])(params, batch)))

  const optimizer = makeOptimizer(train.optimizer, specs)
  const scalars = (step: number): { key: Array; step: Array; learningRate: Array } =>
    ({ key, step: np.array(step, 'int32'), learningRate: np.array(0.01) })
  let arrays = { params, optimizer: optimizer.init(params) }
  const traced = makeProgram(trainStepFunction(loss, optimizer, train.clipNorm))(arrays, { batch, ...scalars(0) })
  yield section('Gradient program', 'A whole training step: the loss, its gradient, clipping and the update of every parameter.', print(traced))

  const simple = simplify(traced)
  yield section('Simplified', 'Calls are inlined, what is computed twice is computed once, and what nothing needs is left out.', print(simple))

  const donated = traced.inputs.map((_, i) => i < flatten(arrays).leaves.length)
  const segments = cutUpdate(simple, donated, canFuse)
  const inPlace = segments.loops.flatMap(loop => loop.inPlace.filter(v => v !== null))
  yield section('Memory plan', 'Parameters and optimizer state are donated: the update writes over them, in loops of their own, once all reads are done.',
    [
      `${formatCount(donated.filter(Boolean).length)} donated arrays, ${formatCount(inPlace.length)} of them written in place `
        + `(${formatBytes(inPlace.reduce((n, v) => n + 4 * v.aval.shape.reduce((a, b) => a * b, 1), 0))})`,
      `${formatCount(segments.loops.length)} loops as WebAssembly; the first of them:`,
      ...segments.loops.slice(0, 1).map(loop => print(loop.program)),
    ].join('\n'))

  const graph = toGraph(segments.main)
  yield section('ONNX nodes', 'The rest is one graph for ONNX Runtime.', `${formatCount(graph.nodes.length)} nodes\n${histogram(graph.nodes.map(node => node.op))}`)

  const step = makeTrainStep(loss, optimizer, train.clipNorm)
  const losses: string[] = []
  for (let i = 0; i < steps; i++) {
    const result = step(arrays, { batch, ...scalars(i) })
    arrays = result.arrays as typeof arrays
    if (i % 10 === 0 || i === steps - 1) losses.push(`step ${String(i + 1).padStart(2)}  loss ${(await result.metrics.loss.item()).toFixed(4)}`)
  }
  yield section('Training', `${steps} steps on the same row.`, losses.join('\n'))

  const answers = await makePredictor(arrays.params, config, task)(examples.map(e => e.input))
  yield section('Generated text', 'The trained parameters, one phoneme after the other.', examples.map((e, i) => `${e.input} -> ${answers[i]}`).join('\n'))
}

const section = (title: string, about: string, body: string): string =>
  `\n== ${title} ==\n${about}\n\n${body.split('\n').map(line => `  ${line}`).join('\n')}`

function formatFeatures(features: object): string {
  return formatTable(Object.entries(features).map(([name, tensor]: [string, HostTensor]) => [name, ...toNumbers(tensor).map(String)]))
}

/** A program with the number of its equations; only the first and last lines of a long one. */
function formatProgram(program: Program, full: boolean): string {
  const lines = String(program).split('\n').map(line => (full || line.length <= 150 ? line : `${line.slice(0, 147)}...`))
  const shown = full || lines.length <= 24 ? lines : [...lines.slice(0, 16), `    ... ${formatCount(lines.length - 20)} lines (--full prints them) ...`, ...lines.slice(-4)]
  return `${formatCount(program.equations.length)} equations: ${histogram(program.equations.map(e => e.primitive))}\n${shown.join('\n')}`
}

/** How often each name occurs, the most frequent first. */
function histogram(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([name, n]) => `${name} ${n}`).join(', ')
}
