import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toNumbers } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { readCheckpoint } from '../../src/checkpoint/format.js'
import { readStack } from '../../src/checkpoint/layout.js'
import { hfEntry } from '../../src/checkpoint/names/hf.js'
import { writePeftAdapters } from '../../src/checkpoint/names/peft.js'
import type { Adapter } from '../../src/checkpoint/names/peft.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import * as np from '../../src/engine/api/np.js'
import type { TensorTree } from '../../src/engine/api/tracing.js'
import { forward } from '../../src/model/forward.js'
import { declareParameters } from '../../src/model/parameters.js'
import type { ModelParams } from '../../src/model/types.js'
import { adaptedKernels, adapterPaths, mergedAdapters, scaledAdapters } from '../../src/train/trainable/adapters.js'
import { union } from '../../src/train/trainable/partition.js'
import { treeFromPaths } from '../../src/base/pytree.js'
import { loadHfFolder } from '../../src/verify/hf-folder.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const lora = { rank: 2, alpha: 6, targets: ['query', 'value', 'wi'] }

/** PEFT's tensors (bench/peers/peft_adapter.py) as adapters of our kernels. */
async function readAdapters(tensors: ReadonlyMap<string, HostTensor>): Promise<Adapter[]> {
  const { model, router } = await loadHfFolder(fixture('switch-tiny'))
  return Promise.all(
    adaptedKernels(declareParameters(model, router), lora).map(async spec => {
      const { names, stacked } = hfEntry(spec, 'switch')
      const half = async (which: string): Promise<HostTensor> => {
        const parts = names.map(name => tensors.get(`base_model.model.${name.replace(/weight$/, which)}.weight`)!)
        const stack = await readStack(parts.length, i => Promise.resolve(parts[i]), true)
        return stacked ? stack : { ...stack, shape: stack.shape.slice(1) }
      }
      return { spec, a: await half('lora_A'), b: await half('lora_B') }
    }),
  )
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('adapters of Switch Transformers in the layout of PEFT 0.21', () => {
  it("give PEFT's logits, beside their kernels and merged into them", async () => {
    const adapters = await readAdapters(await readCheckpoint(safetensors, fixture('peft/adapter_model.safetensors')))
    const { model, router, params } = await loadHfFolder(fixture('switch-tiny'))
    const halves = adapters.flatMap(({ spec, a, b }) => {
      const paths = adapterPaths(spec.path)
      return [[paths.a, np.fromHost(a)] as const, [paths.b, np.fromHost(b)] as const]
    })
    const all = union(params as unknown as TensorTree, treeFromPaths(halves)) as TensorTree
    const recorded = await readCheckpoint(safetensors, fixture('peft/logits.safetensors'))
    const [inputs, decoderInputs] = ['input_ids', 'decoder_input_ids'].map(name => np.fromHost(recorded.get(name)!))
    const batch = {
      encoder_input_tokens: inputs,
      decoder_input_tokens: decoderInputs,
      decoder_target_tokens: decoderInputs,
      decoder_loss_weights: np.ones(decoderInputs.shape),
    }
    const reference = toNumbers(recorded.get('logits')!)
    const worst = async (tree: TensorTree): Promise<number> => {
      const { logits } = forward(tree as unknown as ModelParams, batch, { config: model, router, mode: 'eval' })
      return (await logits.numbers()).reduce((most, x, i) => Math.max(most, Math.abs(x - reference[i])), 0)
    }
    expect(await worst(scaledAdapters(all, lora))).toBeLessThan(1e-4)
    expect(await worst(mergedAdapters(all, lora))).toBeLessThan(1e-4)
    expect(await worst(params as unknown as TensorTree)).toBeGreaterThan(0.1)
  })

  it('are written as PEFT writes them', async () => {
    const expected = await readCheckpoint(safetensors, fixture('peft/adapter_model.safetensors'))
    const out = join(folder, 'adapter')
    await writePeftAdapters(out, await readAdapters(expected), { ...lora, base: 'switch-tiny', family: 'switch' })
    const written = await readCheckpoint(safetensors, join(out, 'adapter_model.safetensors'))
    expect([...written.keys()].toSorted()).toEqual([...expected.keys()].toSorted())
    for (const [name, tensor] of expected) expect(written.get(name), name).toEqual(tensor)

    const configOf = async (path: string) =>
      JSON.parse(await readFile(join(path, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
    const [ours, theirs] = [await configOf(out), await configOf(fixture('peft'))]
    const modules = ours.target_modules as string[]
    const adapted = [...expected.keys()].map(name => name.replace(/^base_model\.model\.(.*)\.lora_[AB]\.weight$/, '$1'))
    expect(new Set(modules)).toEqual(new Set(adapted))
    const { target_modules: _, ...rest } = ours
    expect(theirs).toMatchObject(rest)
  })
})
