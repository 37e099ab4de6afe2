import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileError, ShapeError } from '../../src/base/errors.js'
import { castHost, partOf, tensorFromBytes } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { expertsOf } from '../../src/checkpoint/experts/from-weights.js'
import { partBytes } from '../../src/checkpoint/experts/source.js'
import type { ExpertPart, ExpertSource, ExpertStack } from '../../src/checkpoint/experts/source.js'
import { transposeMatrix } from '../../src/checkpoint/layout.js'
import { dequantizeHost } from '../../src/checkpoint/quantize.js'
import { newWeights } from '../../src/checkpoint/weights.js'
import type { Weights } from '../../src/checkpoint/weights.js'
import { expertSpec } from '../../src/model/parameters.js'
import { preset } from '../../src/model/presets.js'
import { sparseModel } from '../small-model.js'

export interface ExpertSourceConformance {
  title: string
  /** Writes the weights of a small model below an empty folder and returns the path to open. */
  write(folder: string, weights: Weights): Promise<string>
  open(path: string): Promise<Weights>
  /** The file below the path that holds the experts, to be damaged. Default: tests of damage are left out. */
  dataFile?: string
  /** Whether a changed byte of a page is found. */
  hasChecksums?: boolean
  /** Whether the experts have gated activations. Default: no. */
  gated?: boolean
}

const { router } = preset('switch-base-8')

/** A new model with three experts in each sparse layer, whose sizes are no multiples of each other. */
const smallWeights = (gated: boolean): Weights =>
  newWeights(
    'new',
    sparseModel({
      dModel: 32,
      dFf: 48,
      vocabSize: 40,
      numExperts: 3,
      decoderSparseLayers: [1],
      ...(gated && { gatedActivation: true, activation: 'geluTanh' as const }),
    }),
    router,
    7,
  )

/** The tests that every ExpertSource must pass. */
export function expertSourceConformance({
  title,
  write,
  open,
  dataFile,
  hasChecksums = false,
  gated = false,
}: ExpertSourceConformance): void {
  describe(`expert source ${title}`, () => {
    let scratch: string
    let path: string
    let weights: Weights
    const sources: ExpertSource[] = []
    beforeAll(async () => {
      scratch = await mkdtemp(join(tmpdir(), 'switchyard-experts-'))
      path = await write(scratch, smallWeights(gated))
      weights = await open(path)
    })
    afterAll(async () => {
      for (const source of sources) await source.close()
      await weights.close()
      await rm(scratch, { recursive: true, force: true })
    })
    const openSource = async (): Promise<ExpertSource> => {
      const source = await expertsOf(weights)
      sources.push(source)
      return source
    }

    it('lists the stacks of each sparse layer, and a place for each part', async () => {
      const { stacks, name } = await openSource()
      expect(name).not.toBe('')
      expect(stacks.map(({ path: at, numExperts }) => [at, numExperts])).toEqual([
        ['encoder/layers_0/mlp/expert', 3],
        ['encoder/layers_1/mlp/expert', 3],
        ['decoder/layers_1/mlp/expert', 3],
      ])
      for (const { path: at, parts, bytes } of stacks) {
        const projections = gated ? ['wi_0', 'wi_1', 'wo'] : ['wi', 'wo']
        expect([...new Set(parts.map(({ parameter }) => parameter))]).toEqual(projections.map(p => `${at}/${p}/kernel`))
        let end = 0
        for (const part of parts) {
          expect(part.offset % 64).toBe(0)
          expect(part.offset).toBeGreaterThanOrEqual(end)
          end = part.offset + partBytes(part)
        }
        expect(bytes).toBeGreaterThanOrEqual(end)
      }
    })

    it('gives every page as Weights.read gives its expert', async () => {
      const source = await openSource()
      for (const [s, stack] of source.stacks.entries())
        for (let expert = 0; expert < stack.numExperts; expert++)
          await expectPage(weights, stack, expert, await pageOf(source, s, expert))
    })

    it('gives one expert of a parameter as Weights.read gives it, in any order', async () => {
      for (const { path: parameter } of weights.specs.filter(({ role }) => role === 'expertKernel')) {
        const whole = await weights.read(parameter)
        for (const expert of [2, 0, 1, 2])
          expect(await weights.readExpert(parameter, expert)).toEqual(partOf(whole, expert))
      }
    })

    it('reads several pages at the same time, one of them twice', async () => {
      const source = await openSource()
      const wanted = [...source.stacks.entries()].flatMap(([s, stack]) =>
        [2, 0, 1, 2].map(expert => ({ s, stack, expert })),
      )
      const pages = await Promise.all(wanted.map(({ s, expert }) => pageOf(source, s, expert)))
      for (const [i, { stack, expert }] of wanted.entries()) await expectPage(weights, stack, expert, pages[i])
    })

    it('writes into the page alone', async () => {
      const source = await openSource()
      const { bytes } = source.stacks[0]
      const memory = new Uint8Array(bytes + 128).fill(0xa5)
      await source.read(0, 1, memory.subarray(64, 64 + bytes))
      expect([...memory.subarray(0, 64), ...memory.subarray(64 + bytes)].every(byte => byte === 0xa5)).toBe(true)
      await expectPage(weights, source.stacks[0], 1, memory.slice(64, 64 + bytes))
    })

    it('counts the bytes that it reads', async () => {
      const source = await openSource()
      const before = source.traffic()
      await pageOf(source, 0, 0)
      const { disk, network } = source.traffic()
      expect(disk + network - before.disk - before.network).toBeGreaterThan(0)
    })

    it('refuses stacks and experts that do not exist, and pages of another size', async () => {
      const source = await openSource()
      const { bytes } = source.stacks[0]
      for (const [stack, expert, size] of [
        [-1, 0, bytes],
        [source.stacks.length, 0, bytes],
        [0, -1, bytes],
        [0, 3, bytes],
        [0, 0, bytes - 1],
        [0, 0, bytes + 1],
      ])
        await expect(source.read(stack, expert, new Uint8Array(size))).rejects.toThrow(ShapeError)
    })

    it('rejects with the reason of a signal that is aborted before or during a read', async () => {
      const source = await openSource()
      const reason = new Error('not needed any more')
      await expect(pageOf(source, 0, 0, AbortSignal.abort(reason))).rejects.toBe(reason)
      const controller = new AbortController()
      const reading = pageOf(source, 0, 0, controller.signal)
      controller.abort(reason)
      await expect(reading).rejects.toBe(reason)
      await expectPage(weights, source.stacks[0], 0, await pageOf(source, 0, 0))
    })

    it('reads nothing after it was closed, and ends reads that have begun', async () => {
      const source = await openSource()
      const reading = pageOf(source, 1, 2)
      await source.close()
      await expectPage(weights, source.stacks[1], 2, await reading)
      const failed = await failure(pageOf(source, 0, 1))
      expect(failed).toMatch(/expert 1 of encoder\/layers_0\/mlp\/expert/)
      expect(failed).toMatch(/closed/)
      await source.close()
    })

    if (dataFile !== undefined) {
      const last = { stack: 2, expert: 2, name: 'expert 2 of decoder/layers_1/mlp/expert' }
      /** Opens a copy of the model, damages the file of its experts, and reads from it. */
      async function damaged(folder: string, damage: (file: string) => Promise<void>): Promise<ExpertSource> {
        const copy = await write(join(scratch, folder), smallWeights(gated))
        const opened = await open(copy)
        const source = await expertsOf(opened)
        sources.push(source)
        await damage(join(copy, dataFile!))
        await opened.close()
        return source
      }

      it('says which expert cannot be read from a file that was cut off', async () => {
        const source = await damaged('short', file => truncate(file, 100))
        for (const [s, stack] of source.stacks.entries()) {
          const message = await failure(pageOf(source, s, 1))
          expect(message).toContain(dataFile)
          expect(message).toContain(`expert 1 of ${stack.path}`)
        }
      })

      it('gives the page or an error when the file was removed', async () => {
        const source = await damaged('removed', file => rm(file))
        try {
          await expectPage(weights, source.stacks[0], 0, await pageOf(source, 0, 0))
        } catch (error) {
          expect(error).toBeInstanceOf(FileError)
          expect((error as FileError).message).toContain('expert 0 of encoder/layers_0/mlp/expert')
        }
      })

      if (hasChecksums)
        it('finds a changed byte anywhere in a page', async () => {
          const { bytes } = (await openSource()).stacks[last.stack]
          for (const at of [0, Math.floor(0.3 * bytes), bytes - 1]) {
            const source = await damaged(`changed-${at}`, file => changeEveryPage(file, at % 4096))
            const message = await failure(pageOf(source, last.stack, last.expert))
            expect(message).toContain(last.name)
            expect(message).toMatch(/damaged/)
          }
        })
    }
  })
}

/** Changes one byte in each block of 4 KiB. */
async function changeEveryPage(file: string, first: number): Promise<void> {
  const bytes = await readFile(file)
  for (let at = first; at < bytes.length; at += 4096) bytes[at] ^= 1
  await writeFile(file, bytes)
}

async function pageOf(
  source: ExpertSource,
  stack: number,
  expert: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const page = new Uint8Array(source.stacks[stack].bytes)
  await source.read(stack, expert, page, signal)
  return page
}

/** Compares a page, part by part, with what `read` gives for the parameters. */
async function expectPage(
  weights: Weights,
  { parts }: ExpertStack,
  expert: number,
  page: Uint8Array<ArrayBuffer>,
): Promise<void> {
  for (const parameter of new Set(parts.map(part => part.parameter))) {
    const spec = weights.specs.find(({ path }) => path === parameter)!
    const tensors = new Map(
      parts.filter(part => part.parameter === parameter).map(part => [part.kind, { part, tensor: cut(page, part) }]),
    )
    const kernel = tensors.get('kernel')
    const [values, scales] = [tensors.get('values')?.tensor, tensors.get('scales')?.tensor]
    const actual = kernel
      ? kernel.part.isTransposed
        ? transposeMatrix(kernel.tensor)
        : kernel.tensor
      : dequantizeHost(expertSpec(spec), { values: values!, scales: scales! }, weights.bits!)
    const expected = partOf(await weights.read(parameter), expert)
    expect(castHost(actual, expected.dtype), `${parameter} of expert ${expert}`).toEqual(expected)
  }
}

const cut = (page: Uint8Array<ArrayBuffer>, part: ExpertPart): HostTensor =>
  tensorFromBytes(part.dtype, part.shape, page.slice(part.offset, part.offset + partBytes(part)))

async function failure(reading: Promise<unknown>): Promise<string> {
  const error: unknown = await reading.then(
    () => new Error('nothing was wrong'),
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  return (error as FileError).message
}
