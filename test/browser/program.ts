/**
 * Runs in Node and, bundled, in a browser: browser.test.ts compares what both return. Everything is fetched from
 * `folder`, a URL.
 */
import { grad, jit, np, random, valueAndGrad } from 'switchyard-ml/engine'
import type { Tensor } from 'switchyard-ml/engine'
import { forward } from 'switchyard-ml/model'
import type { Batch, ForwardOptions } from 'switchyard-ml/model'
import {
  blobSource,
  generate,
  hfWeights,
  openSafetensors,
  OnnxBackend,
  readParameters,
  setBackend,
  urlSource,
  webSessions,
} from 'switchyard-ml/browser'
import type { ByteSource, WebSessionOptions, Weights } from 'switchyard-ml/browser'

type Numbers = readonly number[]

const inputs = [
  [5, 17, 33, 2, 90, 41, 8, 1],
  [12, 3, 3, 77, 1],
]
const targets = [
  [7, 21, 9, 1],
  [64, 1],
]
const padded = (rows: readonly Numbers[], length: number): Tensor =>
  np.array(
    rows.map(row => Array.from({ length }, (_, i) => row[i] ?? 0)),
    'int32',
  )

async function openWeights(folder: string, source: ByteSource): Promise<Weights> {
  const config = (await (await fetch(`${folder}/config.json`)).json()) as Parameters<typeof hfWeights>[0]
  return hfWeights(config, await openSafetensors(source))
}

const fromUrl = async (folder: string): Promise<Weights> =>
  openWeights(folder, await urlSource(`${folder}/model.safetensors`))

/** The logits of a Switch model. */
async function logits(weights: Weights): Promise<Numbers> {
  const options: ForwardOptions = { config: weights.model, router: weights.router, mode: 'eval' }
  const batch: Batch = {
    encoder_input_tokens: padded(inputs, 8),
    decoder_input_tokens: padded(
      targets.map(row => [0, ...row.slice(0, -1)]),
      4,
    ),
    decoder_target_tokens: padded(targets, 4),
    decoder_loss_weights: np.ones([2, 4]),
  }
  const run = jit((params: Awaited<ReturnType<typeof readParameters>>, b: Batch) => forward(params, b, options).logits)
  return run(await readParameters(weights), batch).numbers()
}

/** In a browser: makes an ONNX Runtime with settings of its own the default. */
export function useSessions(options: WebSessionOptions): void {
  setBackend(new OnnxBackend(webSessions(options)))
}

export const programs = {
  /** Gradients of a compiled function, and random numbers. */
  gradients: async (): Promise<Numbers> => {
    const f = (x: Tensor): Tensor => np.sum(np.square(np.sin(x)))
    const x = random.normal(random.key(3), [4, 5])
    return [...(await x.numbers()), ...(await jit(grad(f))(x).numbers())]
  },
  /** Descent steps whose state is donated: it is updated in place, by generated WebAssembly. */
  training: async (): Promise<Numbers> => {
    const data = random.normal(random.key(1), [64, 8])
    const step = jit(
      (w: Tensor, x: Tensor) => {
        const [, gradient] = valueAndGrad((v: Tensor) => np.mean(np.square(np.subtract(np.matmul(x, v), 1))))(w)
        return np.subtract(w, np.multiply(gradient as Tensor, 0.1))
      },
      { donate: [0] },
    )
    let w = np.zeros([8, 16])
    for (let i = 0; i < 5; i++) w = step(w, data)
    return w.numbers()
  },
  forwardFromUrl: async (folder: string): Promise<Numbers> => logits(await fromUrl(folder)),
  forwardFromBlob: async (folder: string): Promise<Numbers> => {
    const blob = await (await fetch(`${folder}/model.safetensors`)).blob()
    return logits(await openWeights(folder, blobSource(blob)))
  },
  /** Greedy answers. */
  generation: async (folder: string): Promise<Numbers> => {
    const weights = await fromUrl(folder)
    const options = { config: { ...weights.model, reference: 'switchyard' as const }, router: weights.router }
    const answers = await generate(await readParameters(weights), inputs, { ...options, maxNewTokens: 12 })
    return answers.flat()
  },
}
