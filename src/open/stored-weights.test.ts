import { mkdtemp, open, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { writeNativeWeights } from '../checkpoint/native-weights.js'
import { writeHfWeights } from '../checkpoint/names/hf-folder.js'
import { newWeights } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { setBackend } from '../engine/api/engine.js'
import { OnnxBackend } from '../engine/compile/onnx/backend.js'
import { nodeSessions } from '../engine/compile/onnx/node.js'
import { isInFile } from '../engine/compile/onnx/proto.js'
import type { SessionFactory } from '../engine/compile/onnx/session.js'
import { makeGenerator } from '../infer/generate.js'
import { loadForInference } from '../infer/load.js'
import { greedySearch } from '../infer/search.js'
import { preset } from '../model/presets.js'
import { smallSizes } from '../../test/small-model.js'
import { openWeights } from './open-weights.js'

/** How many weights the sessions have read from files. */
let fromFiles = 0
const real = nodeSessions()
const counting: SessionFactory = {
  ...real,
  create: (graph, options) => {
    fromFiles += [...(graph.weights?.values() ?? [])].filter(isInFile).length
    return real.create(graph, options)
  },
}

const base = preset('switch-base-8')
// Kernels of 128 KiB and more, also those of single experts.
const model = {
  ...base.model,
  ...smallSizes,
  vocabSize: 600,
  dModel: 64,
  dFf: 512,
  headDim: 256,
  numExperts: 3,
  encoderSparseLayers: [1],
  decoderSparseLayers: [1],
  initScale: 8,
  dtype: 'float32',
} as const
const maxNewTokens = 6
const inputs = [
  [7, 12, 30, 4, 1],
  [9, 509, 21, 1],
]

async function answers(weights: Weights): Promise<unknown> {
  const params = await loadForInference(weights)
  await weights.close()
  const generate = makeGenerator({ config: weights.model, router: weights.router, maxNewTokens, release: true })
  const found = await generate(
    params,
    inputs,
    inputs.map(() => greedySearch({ maxNewTokens, logProbabilities: true })),
  )
  return found.map(([{ tokens, logProbabilities }]) => ({ tokens, logProbabilities }))
}

describe.each([
  ['huggingface', 'float32', 3],
  ['native', 'float32', 3],
  ['huggingface', 'bfloat16', 3],
  // With more than 8 experts, their kernels are read in branches.
  ['native', 'bfloat16', 10],
  // The kernels of one expert are a piece of the file.
  ['expert-major', 'int8', 3],
  ['native', 'int4', 10],
] as const)('weights in %s files in %s, %i experts', (format, dtype, numExperts) => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-stored-'))
    const weights = newWeights('test', { ...model, numExperts }, base.router, 0)
    if (format === 'huggingface') await writeHfWeights(join(folder, 'model'), weights, { dtype })
    else if (dtype === 'int8' || dtype === 'int4') {
      const experts = format === 'native' ? 'together' : 'apart'
      await writeNativeWeights(join(folder, 'model'), weights, { bits: dtype === 'int8' ? 8 : 4, experts })
    } else await writeNativeWeights(join(folder, 'model'), weights, { dtype })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))
  beforeEach(() => {
    setBackend(new OnnxBackend(counting))
    fromFiles = 0
  })
  const opened = (): Promise<Weights> => openWeights(join(folder, 'model'))
  const names = {
    huggingface: 'model.safetensors',
    native: 'params.safetensors',
    'expert-major': 'experts.bin',
  } as const
  const file = (): string => join(folder, 'model', names[format])

  it('are read by ONNX Runtime itself, and give the answers of weights in memory, bit for bit', async () => {
    const inMemory = await answers({ ...(await opened()), locate: undefined, locateQuantized: undefined })
    expect(fromFiles).toBe(0)
    expect(await answers(await opened())).toEqual(inMemory)
    // Four sparse or dense layers of several kernels each.
    expect(fromFiles).toBeGreaterThan(20)
  })

  it('are read into memory for sessions that cannot read files', async () => {
    const { readsFiles, ...others } = counting
    expect(await readsFiles!()).toBe(true)
    const expected = await answers(await opened())
    fromFiles = 0
    setBackend(new OnnxBackend(others))
    expect(await answers(await opened())).toEqual(expected)
    expect(fromFiles).toBe(0)
  })

  it('must not change after they are opened', async () => {
    const weights = await opened()
    await utimes(file(), new Date(), new Date(Date.now() + 1000))
    await expect(answers(weights)).rejects.toThrow('the file has changed since it was opened')
  })
})

it.each([
  ['params.safetensors', 'together'],
  ['experts.bin', 'apart'],
] as const)('weights in a native file that is damaged are not used: %s', async (name, experts) => {
  setBackend(new OnnxBackend(counting))
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-stored-'))
  try {
    await writeNativeWeights(join(folder, 'model'), newWeights('test', model, base.router, 0), { experts })
    const path = join(folder, 'model', name)
    const handle = await open(path, 'r+')
    // The last parameters are large ones of the decoder.
    await handle.write(new Uint8Array([1, 2, 3]), 0, 3, (await handle.stat()).size - 600 * 64 * 4)
    await handle.close()
    await expect(answers(await openWeights(join(folder, 'model')))).rejects.toThrow('is damaged')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
