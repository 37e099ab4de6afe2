import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { fetchModel } from '../../src/checkpoint/hub/fetch-model.js'
import { openRemoteWeights } from '../../src/checkpoint/hub/remote-weights.js'
import { openT5xWeights, writeT5xWeights } from '../../src/checkpoint/names/t5x-weights.js'
import { openHfWeights, writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { writeNativeWeights } from '../../src/checkpoint/native-weights.js'
import type { NativeOptions } from '../../src/checkpoint/native-weights.js'
import { openWeights } from '../../src/open/open-weights.js'
import { TestHub } from '../hub-server.js'
import { toTransformersShards } from '../transformers-shards.js'
import { expertSourceConformance } from './expert-source.js'

const nativeSettings: readonly (NativeOptions & { gated?: boolean })[] = [
  {},
  { dtype: 'bfloat16', gated: true },
  { bits: 8 },
  { bits: 4, gated: true },
]
for (const { gated, ...options } of nativeSettings)
  expertSourceConformance({
    title: `native, ${options.bits ? `${options.bits} bits` : (options.dtype ?? 'float32')}`,
    gated,
    write: async (folder, weights) => {
      const path = join(folder, 'native')
      await writeNativeWeights(path, weights, options)
      return path
    },
    open: openWeights,
    dataFile: 'params.safetensors',
  })

for (const { gated, ...options } of nativeSettings)
  expertSourceConformance({
    title: `experts apart, ${options.bits ? `${options.bits} bits` : (options.dtype ?? 'float32')}`,
    gated,
    write: async (folder, weights) => {
      const path = join(folder, 'apart')
      await writeNativeWeights(path, weights, { ...options, experts: 'apart' })
      return path
    },
    open: openWeights,
    dataFile: 'experts.bin',
    hasChecksums: true,
  })

for (const options of [{}, { bits: 8 as const }])
  expertSourceConformance({
    title: `native, seeded${options.bits ? ', 8 bits' : ''}`,
    write: async (folder, weights) => {
      const path = join(folder, 'seeded')
      const dense = { ...weights, specs: weights.specs.filter(({ role }) => role !== 'expertKernel') }
      await writeNativeWeights(path, dense, { ...options, seededExperts: { seed: 5, dtype: 'bfloat16' } })
      return path
    },
    open: openWeights,
  })

expertSourceConformance({
  title: 'huggingface, safetensors',
  write: async (folder, weights) => {
    const path = join(folder, 'hf')
    await writeHfWeights(path, weights)
    return path
  },
  open: openHfWeights,
  dataFile: 'model.safetensors',
})

expertSourceConformance({
  title: 'huggingface, bfloat16, in shards',
  write: async (folder, weights) => {
    const path = join(folder, 'shards')
    await writeHfWeights(path, weights, { dtype: 'bfloat16', maxShardBytes: 20_000 })
    return path
  },
  open: openHfWeights,
})

expertSourceConformance({
  title: 't5x',
  write: async (folder, weights) => {
    const path = join(folder, 'checkpoint_0')
    await writeT5xWeights(path, weights)
    return path
  },
  open: openT5xWeights,
})

let hub: TestHub
let cache: string
const keys = ['HF_ENDPOINT', 'HF_HUB_CACHE'] as const
const before = keys.map(key => process.env[key])
beforeAll(async () => {
  hub = await TestHub.start()
  cache = await mkdtemp(join(tmpdir(), 'switchyard-experts-hub-'))
  process.env.HF_ENDPOINT = hub.url
  process.env.HF_HUB_CACHE = cache
})
afterAll(async () => {
  keys.forEach((key, i) => {
    if (before[i] === undefined) delete process.env[key]
    else process.env[key] = before[i]
  })
  await hub.stop()
  await rm(cache, { recursive: true })
})

for (const isTorch of [false, true])
  expertSourceConformance({
    title: `the hub, ${isTorch ? 'torch files' : 'safetensors'} in shards`,
    write: async (folder, weights) => {
      const path = join(folder, 'hf')
      await writeHfWeights(path, weights)
      await toTransformersShards(path, isTorch)
      const repo = isTorch ? 'test/torch' : 'test/safetensors'
      await hub.addFolder(repo, path)
      return fetchModel(repo, { leaveWeights: true })
    },
    open: async path => (await openRemoteWeights(path))!,
  })
