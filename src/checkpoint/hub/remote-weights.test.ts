import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { refuse, sha256 } from '../../../test/hub-server.js'
import { failure, useTestHub } from '../../../test/hub-setup.js'
import { smallSizes } from '../../../test/small-model.js'
import { toTransformersShards } from '../../../test/transformers-shards.js'
import { ConfigError, FileError, SwitchyardError } from '../../base/errors.js'
import { sizeOf } from '../../base/host-tensor.js'
import { preset } from '../../model/presets.js'
import { openWeights } from '../../open/open-weights.js'
import { expertsOf } from '../experts/from-weights.js'
import type { ExpertSource } from '../experts/source.js'
import { openHfWeights, writeHfWeights } from '../names/hf-folder.js'
import { newWeights } from '../weights.js'
import type { Weights } from '../weights.js'
import { fetchModel } from './fetch-model.js'
import type { FetchOptions } from './fetch-model.js'
import { openRemoteWeights } from './remote-weights.js'
import type { RemoteOptions, RemoteWeights } from './remote-weights.js'

const repo = 'google/sparse'
const test = useTestHub()

/** Folders of one model: its experts have 320 KiB, more than what is fetched with a file's header. */
const folders = { safetensors: '', torch: '' }
let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-remote-'))
  const { model, router } = preset('switch-base-8')
  const sizes = { ...smallSizes, dModel: 64, dFf: 640, vocabSize: 40, numExperts: 4, dtype: 'float32' as const }
  for (const kind of ['safetensors', 'torch'] as const) {
    folders[kind] = join(scratch, kind)
    await writeHfWeights(folders[kind], newWeights('new', { ...model, ...sizes }, router, 3))
    await toTransformersShards(folders[kind], kind === 'torch')
  }
})
afterAll(() => rm(scratch, { recursive: true }))

const notices: string[] = []
const settings = { firstWait: 0.01, onNotice: (notice: string): void => void notices.push(notice) }
beforeEach(() => {
  notices.length = 0
})

const fetchSparse = (options: FetchOptions = {}): Promise<string> =>
  fetchModel(repo, { leaveWeights: true, ...settings, ...options })
const open = async (options: RemoteOptions & FetchOptions = {}): Promise<RemoteWeights> =>
  (await openRemoteWeights(await fetchSparse(options), { ...settings, ...options }))!
/** The message of an error of the network, which is no FileError: a pager would try these again. */
async function networkFailure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.catch((e: unknown) => e)
  expect(error).toBeInstanceOf(SwitchyardError)
  expect(error).not.toBeInstanceOf(FileError)
  return (error as Error).message
}
const readDense = async (weights: Weights): Promise<void> => {
  for (const { path, role } of weights.specs) if (role !== 'expertKernel') await weights.read(path)
}
async function pageOf(source: ExpertSource, stack: number, expert: number, signal?: AbortSignal): Promise<Uint8Array> {
  const page = new Uint8Array(source.stacks[stack].bytes)
  await source.read(stack, expert, page, signal)
  return page
}
const expected = async (stack: number, expert: number): Promise<Uint8Array> => {
  const weights = await openHfWeights(folders.safetensors)
  const source = await expertsOf(weights)
  const page = await pageOf(source, stack, expert)
  await source.close()
  await weights.close()
  return page
}
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
const sent = (): number => test.hub.seen.reduce((sum, request) => sum + request.sent, 0)
const storageRequests = (): number => test.hub.seen.filter(({ server }) => server === 'storage').length
/** What a part of the requests for weights is answered with. */
function answerWeights(answer: (response: Parameters<typeof refuse>[0]) => void, times = Infinity): void {
  test.hub.intercept = ({ server }, response) => {
    if (server !== 'storage' || times-- <= 0) return false
    answer(response)
    return true
  }
}
const files = (folder: string): Promise<string[]> => readdir(join(test.cache, 'models--google--sparse', folder))

describe.each(['safetensors', 'torch'] as const)('a model on the hub in %s', kind => {
  beforeEach(() => test.hub.addFolder(repo, folders[kind]))

  it('is fetched as far as it is met, and nothing twice', async () => {
    const weights = await open()
    const snapshot = await readdir(weights.path)
    expect(snapshot.filter(name => /\.(safetensors|bin)$/.test(name))).toEqual([])
    await readDense(weights)
    const source = await weights.experts!()
    const before = storageRequests()
    expect(isSame(await pageOf(source, 0, 2), await expected(0, 2))).toBe(true)
    expect(storageRequests()).toBe(before + 1) // both kernels by one request
    expect(isSame(await pageOf(source, 1, 1), await expected(1, 1))).toBe(true)

    const dense = weights.specs.filter(({ role }) => role !== 'expertKernel')
    const denseBytes = dense.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0)
    const shards = [...new Set((await readdir(folders[kind])).filter(name => /\.(safetensors|bin)$/.test(name)))]
    expect(shards.length).toBeGreaterThan(1)
    const edges = shards.length * 2 ** 17 * (kind === 'torch' ? 2 : 1)
    const small = 20_000 // config.json, the index
    expect(sent()).toBeLessThanOrEqual(denseBytes + 2 * source.stacks[0].bytes + edges + small)
    const { bytes } = source.stacks[0]
    expect(weights.remote.fetchedBytes()).toBeLessThanOrEqual(sent())
    expect(weights.remote.fetchedBytes()).toBeGreaterThan(denseBytes + 2 * bytes)
    expect(source.traffic()).toEqual({ disk: 0, network: 2 * bytes })
    await weights.close()

    test.hub.seen.length = 0
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    const again = await open()
    await readDense(again)
    const pages = await again.experts!()
    expect(isSame(await pageOf(pages, 0, 2), await expected(0, 2))).toBe(true)
    expect(again.remote.expertTraffic()).toEqual({ disk: bytes, network: 0 })
    expect(again.remote.fetchedBytes()).toBe(0)
    expect(test.hub.seen).toEqual([])
    const message = await networkFailure(pageOf(pages, 0, 3))
    expect(message).toMatch(/HF_HUB_OFFLINE.*expert 3 of encoder\/layers_1\/mlp\/expert was to be read/)
    await again.close()
  })

  it('goes on where a transfer broke off', async () => {
    const source = await (await open()).experts!()
    const shards = await readdir(folders[kind])
    for (const name of shards.filter(file => /\.(safetensors|bin)$/.test(file)))
      test.hub.cut(sha256(await readFile(join(folders[kind], name))), 100_000, 50_000)
    const before = sent()
    expect(isSame(await pageOf(source, 0, 1), await expected(0, 1))).toBe(true)
    expect(notices).toHaveLength(2)
    expect(sent() - before).toBeLessThan(source.stacks[0].bytes + 20_000)
  })
})

describe('experts on the hub', () => {
  let source: ExpertSource
  beforeEach(async () => {
    await test.hub.addFolder(repo, folders.safetensors)
    source = await (await open()).experts!()
  })
  const named = 'expert 1 of encoder/layers_1/mlp/expert was to be read'

  it('are waited for while the hub asks for it', async () => {
    answerWeights(response => refuse(response, 503, undefined, { 'retry-after': '0' }), 3)
    expect(isSame(await pageOf(source, 0, 1), await expected(0, 1))).toBe(true)
    expect(notices).toHaveLength(3)
  })

  it.each<[string, (response: Parameters<typeof refuse>[0]) => void, RegExp]>([
    [
      'ignores ranges',
      response => response.writeHead(200).end('x'),
      /cannot send a part of a file.*download the model/,
    ],
    ['says that the file is shorter', response => refuse(response, 416), /changed on the hub: it is shorter/],
    [
      'says that the file has another size',
      response => response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end('0123456789'),
      /changed on the hub: it has 10 bytes/,
    ],
    [
      'sends other bytes',
      response => response.writeHead(206).end('0123456789'),
      /sends bytes \? to \? instead of \d+ to \d+/,
    ],
  ])('are one clear error if the server %s', async (_, answer, message) => {
    answerWeights(answer)
    const before = storageRequests()
    const failed = await networkFailure(pageOf(source, 0, 1))
    expect(failed).toMatch(message)
    expect(failed).toContain('google/sparse/model-0000')
    expect(failed).toContain(named)
    expect(storageRequests()).toBe(before + 1)
    test.hub.intercept = () => false
    expect(isSame(await pageOf(source, 0, 1), await expected(0, 1))).toBe(true)
  })

  it('are one clear error if the file has another checksum', async () => {
    test.hub.intercept = ({ server, path }, response) => {
      if (server !== 'hub' || !path.includes('/resolve/')) return false
      const location = `${test.hub.storageUrl}/other`
      response.writeHead(302, { location, 'x-linked-etag': `"${'a'.repeat(64)}"` }).end()
      return true
    }
    answerStorageToo()
    const failed = await networkFailure(pageOf(source, 0, 1))
    expect(failed).toMatch(/changed on the hub: its checksum is a{64}/)
    expect(failed).toContain(named)
  })
  /** The storage answers for any file. */
  function answerStorageToo(): void {
    const { intercept } = test.hub
    test.hub.intercept = (request, response) => {
      if (request.server === 'hub') return intercept(request, response)
      response.writeHead(206, { 'content-range': 'bytes 0-0/1' }).end('x')
      return true
    }
  }

  it('are one clear error if the model is gated', async () => {
    test.hub.intercept = ({ server }, response) => {
      if (server === 'hub') refuse(response, 403, 'GatedRepo')
      return server === 'hub'
    }
    expect(await networkFailure(pageOf(source, 0, 1))).toMatch(/gated: accept its terms.*expert 1 of/)
  })

  it('leave no half page when a read is aborted', async () => {
    const controller = new AbortController()
    const reason = new Error('stopped')
    test.hub.intercept = ({ server }, response) => {
      if (server !== 'storage') return false
      response.writeHead(206, { 'content-range': 'bytes 0-9/10', 'content-length': 10 }).flushHeaders()
      controller.abort(reason)
      return true
    }
    await expect(pageOf(source, 0, 1, controller.signal)).rejects.toBe(reason)
    await expect(files('switchyard/experts')).rejects.toThrow('ENOENT')
    test.hub.intercept = () => false
    expect(isSame(await pageOf(source, 0, 1), await expected(0, 1))).toBe(true)
  })

  it('are shared with others that have the model open', async () => {
    const other = await (await open()).experts!()
    const pages = await Promise.all([pageOf(source, 0, 0), pageOf(other, 0, 0), pageOf(other, 1, 3)])
    const before = storageRequests()
    const again = await Promise.all([pageOf(other, 0, 0), pageOf(source, 0, 0), pageOf(source, 1, 3)])
    expect(storageRequests()).toBe(before)
    for (const [i, page] of again.entries()) expect(isSame(page, pages[i])).toBe(true)
  })
})

describe('a model whose weights may be left on the hub', () => {
  it('is read from disk if it is there as a whole, then or later', async () => {
    await test.hub.addFolder(repo, folders.safetensors)
    const folder = await fetchSparse()
    await expect(openWeights(folder)).rejects.toThrow('shards are missing')
    const weights = await openWeights(folder, { remote: settings })
    await weights.close()
    expect(await fetchModel(repo)).toBe(folder)
    test.hub.seen.length = 0
    expect(await openRemoteWeights(await fetchSparse())).toBeUndefined()
    expect(storageRequests()).toBe(0)
    const whole = await openWeights(folder, { remote: settings })
    expect((await whole.locate!('encoder/layers_0/attention/query/kernel'))?.shape).toEqual([64, 16])
    await whole.close()
  })

  it('is downloaded if it has no experts', async () => {
    const { model, router } = preset('switch-base-8')
    const sparseLayers = { encoderSparseLayers: [], decoderSparseLayers: [], numExperts: 0 }
    const dense = newWeights('new', { ...model, ...smallSizes, ...sparseLayers, vocabSize: 40 }, router, 3)
    const folder = join(scratch, 'dense')
    await writeHfWeights(folder, dense)
    await test.hub.addFolder(repo, folder)
    expect(await readdir(await fetchSparse())).toContain('model.safetensors')
  })

  it('keeps headers, dense weights and experts up to the limit of SWITCHYARD_PAGES_LIMIT', async () => {
    await test.hub.addFolder(repo, folders.safetensors)
    vi.stubEnv('SWITCHYARD_PAGES_LIMIT', '1500kB')
    const source = await (await open()).experts!()
    for (let expert = 0; expert < 4; expert++) await pageOf(source, 0, expert)
    const place = join(test.cache, 'models--google--sparse/switchyard')
    const pages = (await readdir(place, { recursive: true })).filter(name => name.endsWith('.page'))
    for (const folder of ['experts/', 'dense/'])
      expect(pages.filter(name => name.startsWith(folder)).length, folder).toBeGreaterThan(0)
    let bytes = 0
    for (const name of pages) bytes += (await stat(join(place, name))).size
    expect(bytes).toBeLessThanOrEqual(1_500_000)
    expect(bytes + 4 * 327_680).toBeGreaterThan(1_500_000)
    vi.stubEnv('SWITCHYARD_PAGES_LIMIT', 'half')
    expect(await failure(open(), ConfigError)).toContain('SWITCHYARD_PAGES_LIMIT is "half"')
  })

  it('gives kernels to those who quantize them', async () => {
    await test.hub.addFolder(repo, folders.safetensors)
    const [weights, whole] = [await open(), await openHfWeights(folders.safetensors)]
    const path = 'decoder/layers_1/mlp/expert/wo/kernel'
    expect(await weights.readExpert(path, 2)).toEqual(await whole.readExpert(path, 2))
    expect(await weights.readTransposed!(path, 2)).toEqual(await whole.readTransposed!(path, 2))
    const query = 'encoder/layers_0/attention/query/kernel'
    expect(await weights.readTransposed!(query)).toEqual(await whole.readTransposed!(query))
    await weights.close()
    await whole.close()
  })
})
