import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toNumbers } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { readCheckpoint } from '../../src/checkpoint/format.js'
import { readStack } from '../../src/checkpoint/layout.js'
import { hfEntry } from '../../src/checkpoint/names/hf.js'
import { writePeftAdapters } from '../../src/checkpoint/names/peft-write.js'
import type { Adapter } from '../../src/checkpoint/names/peft-write.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import { writeNativeWeights } from '../../src/checkpoint/native-weights.js'
import { readParameters, readWeights } from '../../src/checkpoint/weights.js'
import * as np from '../../src/engine/api/np.js'
import type { TensorTree } from '../../src/engine/api/tracing.js'
import { forward } from '../../src/model/forward.js'
import { declareParameters } from '../../src/model/parameters.js'
import type { ModelParams } from '../../src/model/types.js'
import { adaptedKernels, adapterPaths, mergedAdapters, scaledAdapters } from '../../src/train/trainable/adapters.js'
import { union } from '../../src/train/trainable/partition.js'
import { treeFromPaths } from '../../src/base/pytree.js'
import { openWeights } from '../../src/open/open-weights.js'
import { loadHfFolder, verifyFolder } from '../../src/verify/hf-folder.js'
import { writeTorchFile } from '../conformance/torch-file.js'
import { expectAgreement } from './agreement.js'

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

/** All weights of a model that `openWeights` opens. */
async function valuesOf(path: string): Promise<Map<string, HostTensor>> {
  const weights = await openWeights(path)
  const values = new Map<string, HostTensor>()
  for await (const [name, tensor] of readWeights(weights, 'float32')) values.set(name, tensor)
  await weights.close()
  return values
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('adapters that PEFT 0.21 wrote', () => {
  it.each([
    ['LoRA of queries and values', 'cases/24-lora-adapter', 1],
    ['ranks and factors by patterns, rsLoRA, and modules_to_save', 'adapters/stabilized', 1],
    ['a vocabulary with more tokens than the base has', 'adapters/resized', 1],
    ['trained vectors of single tokens, in the head of the base as well', 'adapters/tokens', 1],
    ['LoRA of embeddings and the head, which the base ties', 'adapters/embeddings', 2],
    ['LoRA of all linear maps of a Switch Transformer, with biases', 'adapters/switch', 1],
  ])('%s: merged into the base that the adapter names', async (_, name, count) => {
    const notices: string[] = []
    const weights = await openWeights(fixture(name), { onNotice: message => notices.push(message) })
    const params = await readParameters(weights, 'float32')
    await weights.close()
    const rows = await verifyFolder(fixture(name), { tested: { ...weights, params } })
    expectAgreement(rows, 5e-6)
    expect(rows.length).toBe(2)
    expect(notices.length).toBe(count)
    expect(notices[0]).toContain('the adapter is merged into its base')
  })

  it('adapter_model.bin, names with .default, and a base in the same folder or in our own format', async () => {
    const file = await readCheckpoint(safetensors, fixture('cases/24-lora-adapter/adapter_model.safetensors'))
    const expected = await valuesOf(fixture('cases/24-lora-adapter'))
    const config = await readFile(join(fixture('cases/24-lora-adapter'), 'adapter_config.json'), 'utf8')
    const own = join(folder, 'own')
    const base = await openWeights(fixture('cases/24-lora-base'))
    await writeNativeWeights(own, base)
    await base.close()
    for (const at of ['binary', 'beside']) {
      const out = join(folder, at)
      if (at === 'beside') await cp(fixture('cases/24-lora-base'), out, { recursive: true })
      else await mkdir(out)
      await writeFile(join(out, 'adapter_config.json'), config.replace('../24-lora-base', at === 'beside' ? '' : own))
      await writeTorchFile(
        join(out, 'adapter_model.bin'),
        [...file].map(([name, tensor]) => [name.replace('.weight', '.default.weight'), tensor]),
      )
      expect(await valuesOf(out)).toEqual(expected)
    }
  })

  it.each<[string, object, string]>([
    ['a kind that adds to the input', { peft_type: 'PROMPT_TUNING' }, 'is of the kind prompt tuning, whose vectors'],
    ['another kind', { peft_type: 'IA3' }, 'is of PEFT\'s type "IA3", and only LoRA can be merged'],
    ['DoRA', { use_dora: true }, 'is DoRA, and only plain LoRA can be merged'],
    [
      'an initialization of the base',
      { init_lora_weights: 'pissa' },
      'initialized with pissa, which changes the weights',
    ],
    ['another rank', { r: 8 }, 'and adapter_config.json says that their rank is 8'],
    [
      'a base of other sizes',
      { base_model_name_or_path: fixture('switch-tiny') },
      'the adapter belongs to another base',
    ],
    ['no base', { base_model_name_or_path: null }, 'adapter_config.json names no base'],
    ['a base that is gone', { base_model_name_or_path: './gone' }, 'is neither a folder nor a name on the hub'],
  ])('%s is refused in one sentence', async (_, settings, message) => {
    const out = join(folder, 'itself')
    await cp(fixture('cases/24-lora-adapter'), out, { recursive: true })
    const path = join(out, 'adapter_config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as object
    await writeFile(
      path,
      JSON.stringify({ ...config, base_model_name_or_path: fixture('cases/24-lora-base'), ...settings }),
    )
    await expect(openWeights(out)).rejects.toThrow(message)
  })

  it('trained tokens whose number is not that of the rows are refused with both numbers', async () => {
    const out = join(folder, 'tokens')
    await cp(fixture('adapters/tokens'), out, { recursive: true })
    const path = join(out, 'adapter_config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as object
    await writeFile(
      path,
      JSON.stringify({
        ...config,
        base_model_name_or_path: fixture('cases/24-lora-base'),
        trainable_token_indices: [3, 5, 7],
      }),
    )
    await expect(openWeights(out)).rejects.toThrow(
      /trainable_tokens_delta" is \[2,32\], and trainable_token_indices in adapter_config\.json names 3 tokens of "\S+", each with a row/,
    )
  })
})

it('adapters of PEFT that name each other as their base are refused', async () => {
  for (const [at, base] of [
    ['one', '../two'],
    ['two', '../one'],
  ]) {
    await cp(fixture('cases/24-lora-adapter'), join(folder, at), { recursive: true })
    const path = join(folder, at, 'adapter_config.json')
    await writeFile(path, (await readFile(path, 'utf8')).replace('../24-lora-base', base))
  }
  await expect(openWeights(join(folder, 'one'))).rejects.toThrow('is, through base_model_name_or_path, its own base')
})

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
