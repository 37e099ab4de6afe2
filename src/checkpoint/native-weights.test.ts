import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { partOf } from '../base/host-tensor.js'
import { expertSpec } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import { transposeMatrix } from './layout.js'
import { loadCheckpoint } from './native.js'
import { nativeWeights, writeNativeWeights } from './native-weights.js'
import type { NativeConfig } from './native-weights.js'
import { blockTypes, isOutputsFirst, quantizeBlocks } from './quantize.js'
import { newWeights } from './weights.js'
import type { Weights } from './weights.js'

const base = preset('switch-base-8')
const model = {
  ...base.model,
  vocabSize: 50,
  dModel: 32,
  dFf: 48,
  numHeads: 2,
  headDim: 16,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  numExperts: 2,
  dtype: 'float32',
} as const

describe('weights by themselves in our own format', () => {
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'switchyard-native-weights-'))
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))
  const source = newWeights('new', model, base.router, 3)
  const open = async (folder: string): Promise<Weights> => {
    const checkpoint = await loadCheckpoint(folder)
    return nativeWeights(checkpoint, checkpoint.config as unknown as NativeConfig)
  }

  it('keep experts that are made from a seed up to the limit of SWITCHYARD_PAGES_LIMIT', async () => {
    const folder = join(scratch, 'seeded')
    const dense = { ...source, specs: source.specs.filter(({ role }) => role !== 'expertKernel') }
    await writeNativeWeights(folder, dense, { seededExperts: { seed: 5, dtype: 'float32' } })
    const weights = await open(folder)
    const keptOf = async (limit: string): Promise<number> => {
      vi.stubEnv('SWITCHYARD_PAGES_LIMIT', limit)
      const experts = await weights.experts!()
      for (const expert of [0, 1]) await experts.read(0, expert, new Uint8Array(experts.stacks[0].bytes))
      await experts.close()
      return (await readdir(join(folder, 'pages'), { recursive: true })).filter(name => name.endsWith('.page')).length
    }
    expect(await keptOf('20kB')).toBe(1)
    expect(await keptOf('40kB')).toBe(2)
    vi.unstubAllEnvs()
    await weights.close()
  })

  it.each([null, 8, 4] as const)('come back, with %s bits', async bits => {
    const folder = join(scratch, `bits-${bits}`)
    await writeNativeWeights(folder, source, { bits, files: { 'spiece.model': Uint8Array.of(1, 2) } })
    expect([...(await readFile(join(folder, 'spiece.model')))]).toEqual([1, 2])
    const weights = await open(folder)
    expect(weights.bits).toBe(bits ?? undefined)
    expect(weights.model).toEqual(model)
    for (const { path, shape } of source.specs) {
      const [actual, expected] = [await weights.read(path), await source.read(path)]
      expect(actual.shape).toEqual(shape)
      const largest = Math.max(...(expected.data as Float32Array).map(Math.abs))
      const error = Math.max(...(expected.data as Float32Array).map((x, i) => Math.abs(x - Number(actual.data[i]))))
      expect(error / largest, path).toBeLessThan(bits === null ? 1e-12 : bits === 8 ? 0.005 : 0.08)
      if (path.includes('/expert/'))
        for (const expert of [1, 0]) expect(await weights.readExpert(path, expert)).toEqual(partOf(actual, expert))
    }
    expect((await weights.readQuantized?.('decoder/layers_0/mlp/wi/kernel'))?.values.dtype).toBe(
      bits === null ? undefined : bits === 8 ? 'int8' : 'uint8',
    )
    await weights.close()
  })

  it('in 8 bits as earlier versions wrote them, in blocks, are read and copied as they are', async () => {
    const [older, copy] = [join(scratch, 'older'), join(scratch, 'older-copy')]
    const inBlocks: Weights = {
      ...source,
      bits: 8,
      quantizedTypes: spec => blockTypes(spec, 8),
      readQuantized: async (path, expert) => {
        const stack = source.specs.find(s => s.path === path)!
        const spec = expert === undefined ? stack : expertSpec(stack)
        if (!blockTypes(spec, 8)) return null
        const tensor = await (expert === undefined ? source.read(path) : source.readExpert(path, expert))
        return quantizeBlocks(spec, isOutputsFirst(spec) ? tensor : transposeMatrix(tensor), 8)
      },
    }
    await writeNativeWeights(older, inBlocks, { bits: 8 })
    const read = await open(older)
    await writeNativeWeights(copy, read, { bits: 8 })
    const copied = await open(copy)
    for (const { path } of source.specs) {
      const stored = await read.readQuantized!(path)
      expect(stored?.values.dtype).toBe(
        blockTypes(
          source.specs.find(s => s.path === path)!,
          8,
        )
          ? 'uint8'
          : undefined,
      )
      expect(await copied.readQuantized!(path)).toEqual(stored)
    }
    const wi = 'decoder/layers_0/mlp/wi/kernel'
    const [actual, expected] = [await copied.read(wi), await source.read(wi)]
    ;(expected.data as Float32Array).forEach((x, i) => expect(Number(actual.data[i])).toBeCloseTo(x, 3))
    await read.close()
    await copied.close()
  })

  it('are refused with a list of all that does not fit', async () => {
    const folder = join(scratch, 'other')
    await writeNativeWeights(folder, source, { bits: 8 })
    const checkpoint = await loadCheckpoint(folder)
    const config = { model: { ...model, dFf: 64 }, router: base.router, bits: 8 } as const
    expect(() => nativeWeights(checkpoint, config)).toThrow(
      /of a wrong shape or dtype: \d+ .*wi\/kernel\/values is int8\[32,48\] instead of int8\[32,64\]/,
    )
    expect(() => nativeWeights(checkpoint, { ...config, model, bits: null })).toThrow(
      /missing: .*token_embedder\/embedding[^]*unexpected: /,
    )
    await checkpoint.close()
  })
})
