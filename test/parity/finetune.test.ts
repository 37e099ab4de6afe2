import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { toNumbers } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { leavesWithPaths } from '../../src/base/pytree.js'
import { readCheckpoint } from '../../src/checkpoint/format.js'
import { hfFamily, toHf } from '../../src/checkpoint/names/hf.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import * as np from '../../src/engine/api/np.js'
import * as random from '../../src/engine/api/random.js'
import { declareParameters } from '../../src/model/parameters.js'
import { trainingLoss } from '../../src/train/loss.js'
import { adafactor } from '../../src/train/optimizers/adafactor.js'
import { adamW } from '../../src/train/optimizers/adamw.js'
import { makeTrainStep } from '../../src/train/step.js'
import type { TrainArrays } from '../../src/train/step.js'
import { hfBatch, loadHfFolder } from '../../src/verify/hf-folder.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** The tensors under a prefix, without it. */
const under = (tensors: ReadonlyMap<string, HostTensor>, prefix: string): Map<string, HostTensor> =>
  new Map([...tensors].flatMap(([name, x]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), x]] : [])))

/** The largest difference of two tensors, relative to the reference's largest magnitude, or to 1e-2 if that is less. */
function difference(actual: HostTensor, expected: HostTensor): number {
  expect(actual.shape).toEqual(expected.shape)
  const reference = toNumbers(expected)
  const scale = reference.reduce((largest, x) => Math.max(largest, Math.abs(x)), 1e-2)
  return toNumbers(actual).reduce((worst, x, i) => Math.max(worst, Math.abs(x - reference[i]) / scale), 0)
}

// bench/peers/hf_finetune.py has recorded the reference: a PyTorch loop around transformers, without dropout.
describe.each([
  ['t5-v1_1', 51],
  ['switch-tiny', 117],
])('twenty steps of fine-tuning %s', (name, tensors) => {
  it.each(['adamw', 'adafactor'])('agree with a PyTorch loop around transformers: %s', async kind => {
    const recorded = await readCheckpoint(safetensors, fixture(`finetune/${name}.safetensors`))
    const { model, router, params } = await loadHfFolder(fixture(name))
    const specs = declareParameters(model, router)
    const [optimizer, rate] =
      kind === 'adamw' ? [adamW({ weightDecay: 0.01 }), 1e-3] : [adafactor(specs, { minSizeToFactor: 1 }), 1e-2]
    const step = makeTrainStep(
      trainingLoss({ ...model, dropoutRate: 0 }, { ...router, expertDropoutRate: 0 }),
      optimizer,
      null,
    )
    const batches = [0, 1, 2].map(i => hfBatch(under(recorded, `batch.${i}.`), name))

    let arrays = { params, optimizer: optimizer.init(params) } as unknown as TrainArrays
    const losses: number[] = []
    for (let i = 0; i < 20; i++) {
      const inputs = { key: random.key(0), step: np.array(i, 'int32'), learningRate: np.array(rate) }
      const result = step(arrays, { ...inputs, batch: batches[i % 3] })
      arrays = result.arrays
      losses.push(await result.metrics.loss.item())
    }
    const expected = toNumbers(recorded.get(`${kind}.losses`)!)
    losses.forEach((loss, i) => expect(Math.abs(loss / expected[i] - 1), `loss of step ${i}`).toBeLessThan(1e-4))

    const reference = under(recorded, `${kind}.params.`)
    const family = hfFamily(reference.keys())
    const arrayAt = new Map(leavesWithPaths<Tensor>(arrays.params))
    const seen: string[] = []
    for (const spec of specs)
      for (const [hfName, tensor] of toHf(spec, await arrayAt.get(spec.path)!.data(), family)) {
        expect(difference(tensor, reference.get(hfName)!), hfName).toBeLessThan(1e-4)
        seen.push(hfName)
      }
    expect(seen.toSorted()).toEqual([...reference.keys()].toSorted())
    expect(seen.length).toBe(tensors)
  })
})
