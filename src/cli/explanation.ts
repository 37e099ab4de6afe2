import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatBytes, formatCount, formatTable } from '../base/format.js'
import { flatten } from '../base/pytree.js'
import { toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { recipes } from '../config/recipes.js'
import type { RunConfig } from '../train/config.js'
import { packBatch, tokenize } from '../data/features.js'
import { saveCodec } from '../data/task.js'
import { g2pCodec } from '../data/tasks/g2p.js'
import { defaultEngine } from '../engine/api/engine.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { makeProgram } from '../engine/api/transforms.js'
import type { Program } from '../engine/program/program.js'
import { initParameters } from '../model/init.js'
import { countParameters, declareParameters } from '../model/parameters.js'
import type { Batch, ModelParams } from '../model/types.js'
import { batchOf } from '../train/batch.js'
import { saveRun } from '../train/checkpointing.js'
import { trainingLoss } from '../train/loss.js'
import { openModel } from '../open/open-model.js'
import { makeOptimizer } from '../train/optimizers/optimizers.js'
import { trainedTextModel } from '../train/evaluate.js'
import { TextGenerator } from '../infer/text-generator.js'
import { makeTrainStep, trainStepFunction } from '../train/step.js'
import { libraryVersion } from '../base/version.js'

const examples = [
  { input: 'switch', target: 'S W IH CH' },
  { input: 'yard', target: 'Y AA R D' },
]

/** Large enough to learn two words, small enough to read. */
const config: RunConfig = {
  ...recipes.g2p,
  model: {
    ...recipes.g2p.model,
    dModel: 16,
    dFf: 32,
    numHeads: 2,
    headDim: 8,
    numEncoderLayers: 1,
    numDecoderLayers: 1,
    encoderSparseEvery: 1,
    decoderSparseEvery: 1,
    numExperts: 2,
  },
  train: { ...recipes.g2p.train, rows: 1, inputLength: 12, targetLength: 10 },
}
const steps = 60

/** Each stage from text to generated text, as a text with a heading. */
export async function* explain({ full }: { full: boolean }): AsyncGenerator<string> {
  const { model, router, train } = config
  const codec = g2pCodec()
  const print = (program: Program): string => formatProgram(program, full)

  yield section(
    'Text',
    'Two examples of the task g2p: letters in, phonemes out.',
    examples.map(e => `${e.input} -> ${e.target}`).join('\n'),
  )

  const { features } = packBatch(
    examples.map(e => tokenize(codec, e)),
    train,
  )
  yield section(
    'Features',
    'Both examples share one row; the segment ids say which example a token belongs to. 1 ends a sequence, 0 is padding.',
    formatFeatures(features),
  )

  const specs = declareParameters(model, router)
  const params = initParameters(specs, random.key(0))
  const batch = batchOf(features)
  const loss = trainingLoss(model, router)
  const key = random.key(1)
  yield section(
    'Program',
    `The loss of a model with ${formatCount(countParameters(specs))} parameters, traced once, in the notation of JAX.`,
    print(makeProgram((p: ModelParams, b: Batch) => loss(p, b, key)[0])(params, batch)),
  )

  const optimizer = makeOptimizer(train.optimizer, specs)
  const scalars = (step: number): { key: Tensor; step: Tensor; learningRate: Tensor } => ({
    key,
    step: np.array(step, 'int32'),
    learningRate: np.array(0.01),
  })
  let arrays = { params, optimizer: jit((p: ModelParams) => optimizer.init(p))(params) }
  const traced = makeProgram(trainStepFunction(loss, optimizer, train.clipNorm))(arrays, { batch, ...scalars(0) })
  yield section(
    'Gradient program',
    'A whole training step: the loss, its gradient, clipping and the update of every parameter.',
    print(traced),
  )

  const donated = traced.inputs.map((_, i) => i < flatten(arrays).leaves.length)
  const compiled = defaultEngine().backend.explain(traced, donated)
  yield section(
    'Simplified',
    'Calls are inlined, equal equations are computed once, and equations that nothing uses are removed.',
    print(compiled.program),
  )

  yield section(
    'Memory plan',
    'Parameters and optimizer state are donated: separate loops write the new values over the old ones, after all reads.',
    [
      `${formatCount(donated.filter(Boolean).length)} donated arrays, ${formatCount(compiled.inPlaceArrays)} of them written in place ` +
        `(${formatBytes(compiled.stats.inPlaceBytes)})`,
      `${formatCount(compiled.loops.length)} loops as WebAssembly; the first of them:`,
      ...compiled.loops.slice(0, 1).map(print),
    ].join('\n'),
  )

  yield section(
    'ONNX nodes',
    'All equations before the update are one graph for ONNX Runtime.',
    [
      `${formatCount(compiled.stats.nodes)} nodes: ${histogram(compiled.nodes.map(node => node.operation))}`,
      ...shorten(
        compiled.nodes.map(node => `    ${node.text}`),
        full,
      ),
    ].join('\n'),
  )

  const step = makeTrainStep(loss, optimizer, train.clipNorm)
  const losses: string[] = []
  for (let i = 0; i < steps; i++) {
    const result = step(arrays, { batch, ...scalars(i) })
    arrays = result.arrays as typeof arrays
    if (i % 10 === 0 || i === steps - 1)
      losses.push(`step ${String(i + 1).padStart(2)}  loss ${(await result.metrics.loss.item()).toFixed(4)}`)
  }
  yield section('Training', `${steps} steps on the same row.`, losses.join('\n'))

  const folder = await mkdtemp(join(tmpdir(), 'switchyard-explain-'))
  try {
    const facts = { step: steps, config, task: saveCodec({ name: 'g2p', codec }), data: null, seed: 0, libraryVersion }
    const saved = await saveRun(folder, facts, arrays, 1)
    const files = await Promise.all(
      (await readdir(saved)).map(async name => [name, formatBytes((await stat(join(saved, name))).size)]),
    )
    yield section(
      'Checkpoint',
      'Parameters, optimizer state, and everything that resuming and inference need. The folder appears complete or not at all.',
      formatTable(files),
    )

    const opened = await openModel(folder)
    const generator = new TextGenerator(trainedTextModel(opened.params, opened.config, opened.codec))
    const answers = await generator.answerAll(examples.map(e => e.input))
    yield section(
      'Generated text',
      'The parameters are read from the checkpoint, and the decoder generates one phoneme after the other.',
      examples.map((e, i) => `${e.input} -> ${answers[i][0].text}`).join('\n'),
    )
  } finally {
    await rm(folder, { recursive: true })
  }
}

const section = (title: string, about: string, body: string): string =>
  `\n== ${title} ==\n${about}\n\n${body
    .split('\n')
    .map(line => `  ${line}`)
    .join('\n')}`

/** A table for each side: a feature a line. */
function formatFeatures(features: object): string {
  const side = (prefix: string): string =>
    formatTable(
      Object.entries(features)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, tensor]: [string, HostTensor]) => [name, ...toNumbers(tensor).map(String)]),
    )
  return `${side('encoder_')}\n\n${side('decoder_')}`
}

/** A program with the number of its equations; only the first and last lines of a long one. */
function formatProgram(program: Program, full: boolean): string {
  const lines = shorten(String(program).split('\n'), full)
  return `${formatCount(program.equations.length)} equations: ${histogram(program.equations.map(e => e.primitive))}\n${lines.join('\n')}`
}

/** The first and the last lines, cut to a readable width. */
function shorten(lines: readonly string[], full: boolean): string[] {
  if (full) return [...lines]
  const cut = lines.map(line => (line.length <= 140 ? line : `${line.slice(0, 137)}...`))
  return cut.length <= 24
    ? cut
    : [...cut.slice(0, 14), `    ... ${formatCount(cut.length - 18)} lines (--full prints them) ...`, ...cut.slice(-4)]
}

/** How often each name occurs, the most frequent first. */
function histogram(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([name, n]) => `${name} ${n}`)
    .join(', ')
}
