import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, vi } from 'vitest'
import { gitSha1, refuse, sendJson, sha256 } from '../../../test/hub-server.js'
import { failure, tinyModel, useTestHub } from '../../../test/hub-setup.js'
import { ConfigError, FileError } from '../../base/errors.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { openWeights } from '../../open/open-weights.js'
import { readWeights } from '../weights.js'
import { TransientError } from './errors.js'
import type { FetchProgress } from './fetch-files.js'
import { fetchModel } from './fetch-model.js'

const { repo, weights, fetchTiny } = tinyModel()
const config = '{"model_type": "t5"}'
const small = { 'config.json': config, 'spiece.model': 'pieces' }
const model = { ...small, 'model.safetensors': weights }

const test = useTestHub()
const folder = (): string => join(test.cache, 'models--google--tiny')

const read = (path: string, name: string): Promise<Buffer> => readFile(join(path, name))
/** Of the weights: comparing so many bytes one by one takes long. */
const checksum = async (path: string): Promise<string> => sha256(await read(path, 'model.safetensors'))
const blobs = async (): Promise<string[]> => (await readdir(join(folder(), 'blobs'))).sort()
const incomplete = (data: Uint8Array): string => join(folder(), 'blobs', `${sha256(data)}.incomplete`)
const storageRequests = (): (string | undefined)[] =>
  test.hub.seen.filter(({ server }) => server === 'storage').map(({ range }) => range)

describe('what is fetched', () => {
  it('is what the readers use and nothing else, laid out as Python does', async () => {
    const commit = test.hub.add(repo, {
      ...model,
      'pytorch_model.bin': 'x',
      'tf_model.h5': 'x',
      'flax_model.msgpack': 'x',
      'README.md': 'x',
      'tokenizer.json': '{}',
    })
    const snapshot = await fetchTiny()
    expect(snapshot).toBe(join(folder(), 'snapshots', commit))
    expect((await readdir(snapshot)).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'spiece.model',
      'tokenizer.json',
    ])
    expect(await checksum(snapshot)).toBe(sha256(weights))
    expect(await readlink(join(snapshot, 'model.safetensors'))).toBe(`../../blobs/${sha256(weights)}`)
    expect(await readlink(join(snapshot, 'config.json'))).toBe(`../../blobs/${gitSha1(Buffer.from(config))}`)
    expect(await readFile(join(folder(), 'refs/main'), 'utf8')).toBe(commit)
    expect((await readdir(join(folder(), '.no_exist', commit))).sort()).toEqual([
      'adapter_config.json',
      'added_tokens.json',
      'config_sentence_transformers.json',
      'generation_config.json',
      'merges.txt',
      'modules.json',
      'special_tokens_map.json',
      'tokenizer_config.json',
      'vocab.json',
    ])
    expect(await blobs()).toHaveLength(4)
  })

  it('is the index and its shards if there is no single file', async () => {
    const index = JSON.stringify({
      metadata: {},
      weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors', c: 'model-1.safetensors' },
    })
    test.hub.add(repo, {
      ...small,
      'model.safetensors.index.json': index,
      'model-1.safetensors': 'one',
      'model-2.safetensors': 'two',
      'model-3.safetensors': 'three',
      'pytorch_model.bin': 'x',
    })
    expect((await readdir(await fetchTiny())).sort()).toEqual([
      'config.json',
      'model-1.safetensors',
      'model-2.safetensors',
      'model.safetensors.index.json',
      'spiece.model',
    ])
  })

  it('is the .bin if there are no safetensors', async () => {
    test.hub.add(repo, { ...small, 'pytorch_model.bin': 'x' })
    expect(await readdir(await fetchTiny())).toContain('pytorch_model.bin')
  })

  it('is every module of sentence-transformers, in folders of their own too', async () => {
    const module = (kind: string, path: string): object => ({ type: `sentence_transformers.models.${kind}`, path })
    const modules = [
      module('Transformer', '0_Transformer'),
      module('Pooling', '1_Pooling'),
      module('Dense', '2_Dense'),
      // Published models have no such folder: git keeps no empty ones.
      module('Normalize', '3_Normalize'),
    ]
    const wanted = {
      'modules.json': JSON.stringify(modules),
      'config_sentence_transformers.json': '{}',
      '0_Transformer/config.json': config,
      '0_Transformer/model.safetensors': weights,
      '0_Transformer/sentence_bert_config.json': '{}',
      '0_Transformer/spiece.model': 'pieces',
      '1_Pooling/config.json': '{}',
      '2_Dense/config.json': '{}',
      '2_Dense/pytorch_model.bin': 'x',
    }
    const others = { 'onnx/model.safetensors': 'x', '2_Dense/training.bin': 'x', 'README.md': 'x' }
    const commit = test.hub.add(repo, { ...wanted, ...others })
    const snapshot = await fetchTiny()
    const files = await readdir(snapshot, { recursive: true, withFileTypes: true })
    const names = files.filter(file => !file.isDirectory()).map(file => join(file.parentPath, file.name))
    expect(names.sort()).toEqual(
      Object.keys(wanted)
        .map(name => join(snapshot, name))
        .sort(),
    )
    expect(await readlink(join(snapshot, '2_Dense/pytorch_model.bin'))).toBe(
      `../../../blobs/${sha256(Buffer.from('x'))}`,
    )
    const requests = test.hub.seen.length
    expect(await fetchTiny({ revision: commit })).toBe(snapshot)
    expect(test.hub.seen.length).toBe(requests)
    await rm(join(snapshot, '2_Dense/config.json'))
    await expect(fetchTiny({ offline: true })).rejects.toThrow('lacks 2_Dense/config.json of commit')
  })

  it('is the model alone if it has modules that are not known here', async () => {
    test.hub.add(repo, {
      ...model,
      'modules.json': '[{"type": "own.Module", "path": "1_Own"}]',
      '1_Own/config.json': '{}',
    })
    expect(await readdir(await fetchTiny())).toEqual([
      'config.json',
      'model.safetensors',
      'modules.json',
      'spiece.model',
    ])
  })

  it('says what is missing of a model that cannot be used', async () => {
    test.hub.add(repo, { ...small, 'tf_model.h5': 'x' })
    expect(await failure(fetchTiny())).toMatch(/no weights .* that can be read here.*"tf_model.h5"/)
    test.hub.add(repo, { 'model.safetensors': weights })
    expect(await failure(fetchTiny())).toContain('no "config.json"')
  })

  it('is told as it comes', async () => {
    test.hub.add(repo, model)
    const seen: FetchProgress[] = []
    await fetchTiny({ onProgress: progress => seen.push(progress) })
    const total = config.length + 6 + weights.byteLength
    expect(seen.at(-1)).toEqual({
      file: 'model.safetensors',
      bytes: weights.byteLength,
      totalBytes: weights.byteLength,
      allBytes: total,
      allTotalBytes: total,
    })
    expect(seen.map(({ allBytes }) => allBytes)).toEqual(seen.map(({ allBytes }) => allBytes).sort((a, b) => a - b))
  })

  it('is refused before the download if it does not fit on the disk', async () => {
    test.hub.add(repo, model)
    test.hub.intercept = ({ path }, response) => {
      if (!path.includes('/tree/')) return false
      const oid = '0'.repeat(40)
      sendJson(response, [
        { type: 'file', path: 'config.json', size: 2, oid },
        {
          type: 'file',
          path: 'model.safetensors',
          size: 2 ** 52,
          oid,
          lfs: { oid: '0'.repeat(64), size: 2 ** 52, pointerSize: 1 },
        },
      ])
      return true
    }
    expect(await failure(fetchTiny(), FileError)).toMatch(/4\.00 PiB are to be downloaded, and this disk has .* free/)
    expect(test.hub.seen.some(({ path }) => path.includes('/resolve/'))).toBe(false)
  })
})

describe('revisions', () => {
  it('are branches or tags, with slashes in them too', async () => {
    test.hub.add(repo, model)
    const commit = test.hub.add(repo, { ...model, 'config.json': '{}' }, 'refs/pr/1')
    const snapshot = await fetchTiny({ revision: 'refs/pr/1' })
    expect(snapshot.endsWith(commit)).toBe(true)
    expect(await readFile(join(folder(), 'refs/refs/pr/1'), 'utf8')).toBe(commit)
    expect(await readdir(join(folder(), 'refs'))).toEqual(['refs'])
  })

  it('that are commits in the cache need no request', async () => {
    const commit = test.hub.add(repo, model)
    const snapshot = await fetchTiny({ revision: commit })
    await expect(lstat(join(folder(), 'refs'))).rejects.toThrow('ENOENT')
    test.hub.seen.length = 0
    expect(await fetchTiny({ revision: commit })).toBe(snapshot)
    expect(test.hub.seen).toEqual([])
  })

  it('that are branches need one, as long as they stay', async () => {
    test.hub.add(repo, model)
    await fetchTiny()
    test.hub.seen.length = 0
    await fetchTiny()
    expect(test.hub.seen.map(({ path }) => path.split('?')[0])).toEqual([`/api/models/${repo}/revision/main`])
  })

  it('that have moved bring what has changed, and no more', async () => {
    const old = test.hub.add(repo, model)
    await fetchTiny()
    test.hub.seen.length = 0
    const commit = test.hub.add(repo, { ...model, 'config.json': '{}' })
    const snapshot = await fetchTiny()
    expect(snapshot.endsWith(commit)).toBe(true)
    expect(test.hub.seen.filter(({ path }) => path.includes('/resolve/')).map(({ path }) => path)).toEqual([
      `/${repo}/resolve/${commit}/config.json`,
    ])
    expect(await read(snapshot, 'config.json')).toEqual(Buffer.from('{}'))
    expect(await read(join(folder(), 'snapshots', old), 'config.json')).toEqual(Buffer.from(config))
  })

  it('and names that could leave the cache are refused', async () => {
    for (const revision of ['../../x', '/x', 'a//b', 'a/../b', 'C:\\x', ''])
      expect(await failure(fetchTiny({ revision }), ConfigError)).toContain('no revision')
    expect(await failure(fetchModel('../x'), ConfigError)).toContain('owner/name')
    expect(test.hub.seen).toEqual([])
  })
})

describe('an adapter of PEFT', () => {
  const fixture = (name: string): string =>
    fileURLToPath(new URL(`../../../test/fixtures/cases/${name}`, import.meta.url))
  const valuesOf = async (path: string): Promise<Map<string, HostTensor>> => {
    const weights = await openWeights(path)
    const values = new Map<string, HostTensor>()
    for await (const [name, tensor] of readWeights(weights)) values.set(name, tensor)
    await weights.close()
    return values
  }

  it('is fetched with its vocabulary, and its base, at a revision, when it is opened; later without a connection', async () => {
    await test.hub.addFolder('google/base', fixture('24-lora-base'), 'v2')
    const config = JSON.parse(await readFile(join(fixture('24-lora-adapter'), 'adapter_config.json'), 'utf8')) as object
    const named = { ...config, base_model_name_or_path: 'google/base', revision: 'v2' }
    test.hub.add('someone/lora', {
      'adapter_config.json': JSON.stringify(named),
      'adapter_model.safetensors': await readFile(join(fixture('24-lora-adapter'), 'adapter_model.safetensors')),
      'special_tokens_map.json': '{}',
      'training_args.bin': 'x',
    })
    const path = await fetchModel('someone/lora')
    expect((await readdir(path)).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'special_tokens_map.json',
    ])
    const expected = await valuesOf(fixture('24-lora-adapter'))
    expect(await valuesOf(path)).toEqual(expected)
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    expect(await fetchModel('someone/lora')).toBe(path)
    expect(await valuesOf(path)).toEqual(expected)
  })

  it('without its file is an error', async () => {
    test.hub.add('someone/lora', { 'adapter_config.json': '{}' })
    expect(await failure(fetchModel('someone/lora'))).toContain('adapter_model.safetensors or adapter_model.bin')
  })
})

describe('a cache that Python has filled', () => {
  async function fill(commit: string, names = Object.keys(model)): Promise<string> {
    const snapshot = join(folder(), 'snapshots', commit)
    for (const path of ['blobs', 'refs', join('snapshots', commit), join('.no_exist', commit)])
      await mkdir(join(folder(), path), { recursive: true })
    for (const name of names) {
      const data = Buffer.from(model[name as keyof typeof model])
      const etag = name === 'config.json' ? gitSha1(data) : sha256(data)
      await writeFile(join(folder(), 'blobs', etag), data)
      await symlink(`../../blobs/${etag}`, join(snapshot, name))
    }
    await writeFile(join(folder(), 'refs/main'), commit)
    return snapshot
  }

  it('is used as it is, without a request if it says what the model lacks', async () => {
    const commit = test.hub.add(repo, model)
    const snapshot = await fill(commit)
    const lacking = [
      'adapter_config',
      'added_tokens',
      'config_sentence_transformers',
      'generation_config',
      'modules',
      'special_tokens_map',
      'tokenizer',
      'tokenizer_config',
      'vocab',
    ]
    for (const name of [...lacking.map(file => `${file}.json`), 'merges.txt'])
      await writeFile(join(folder(), '.no_exist', commit, name), '')
    expect(await fetchTiny({ revision: commit })).toBe(snapshot)
    expect(test.hub.seen).toEqual([])
  })

  it('has the hub asked what else there is, once, and what is there is not fetched', async () => {
    const commit = test.hub.add(repo, model)
    await fill(commit, ['config.json', 'model.safetensors'])
    const snapshot = await fetchTiny({ revision: commit })
    expect(test.hub.seen.filter(({ server }) => server === 'hub').map(({ path }) => path.split('?')[0])).toEqual([
      `/api/models/${repo}/tree/${commit}`,
      `/${repo}/resolve/${commit}/spiece.model`,
    ])
    expect(await read(snapshot, 'spiece.model')).toEqual(Buffer.from('pieces'))
  })

  it('has a link put where only the blob is there', async () => {
    const commit = test.hub.add(repo, model)
    await rm(join(await fill(commit), 'model.safetensors'))
    expect(await checksum(await fetchTiny())).toBe(sha256(weights))
    expect(storageRequests()).toEqual([])
  })

  it('may hold files instead of links', async () => {
    const commit = test.hub.add(repo, model)
    const snapshot = await fill(commit)
    await rm(join(folder(), 'blobs'), { recursive: true })
    for (const [name, data] of Object.entries(model)) {
      await rm(join(snapshot, name))
      await writeFile(join(snapshot, name), data)
    }
    expect(await fetchTiny()).toBe(snapshot)
    expect(test.hub.seen.some(({ path }) => path.includes('/resolve/'))).toBe(false)
  })

  it('may share blobs among models, inside the cache', async () => {
    const commit = test.hub.add(repo, model)
    await fill(commit)
    const blob = join(folder(), 'blobs', sha256(weights))
    await mkdir(join(test.cache, 'blobs/ab'), { recursive: true })
    await writeFile(join(test.cache, 'blobs/ab/shared'), weights)
    await rm(blob)
    await symlink('../../blobs/ab/shared', blob)
    expect(await checksum(await fetchTiny())).toBe(sha256(weights))
    expect(storageRequests()).toEqual([])
  })

  it('is refused where a link leads out of it, and what is there is left alone', async () => {
    const commit = test.hub.add(repo, model)
    const link = join(await fill(commit), 'config.json')
    const outside = await mkdtemp(join(tmpdir(), 'switchyard-outside-'))
    const secret = join(outside, 'secret')
    await writeFile(secret, config)
    await rm(link)
    await symlink(secret, link)
    expect(await failure(fetchTiny(), FileError)).toContain(`${link}: this leads out of the cache, to ${secret}`)
    await rm(join(folder(), 'blobs'), { recursive: true })
    await rm(join(folder(), 'snapshots'), { recursive: true })
    await symlink(outside, join(folder(), 'blobs'))
    expect(await failure(fetchTiny(), FileError)).toContain('leads out of the cache')
    expect(await readdir(outside)).toEqual(['secret'])
    expect(await readFile(secret, 'utf8')).toBe(config)
    await rm(outside, { recursive: true })
  })
})

describe('offline', () => {
  it('uses the cache, and says what it lacks', async () => {
    const commit = test.hub.add(repo, model)
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    expect(await failure(fetchTiny(), FileError)).toMatch(/wanted offline, and the cache knows no revision "main"/)
    vi.stubEnv('HF_HUB_OFFLINE', '')
    const snapshot = await fetchTiny()
    test.hub.seen.length = 0
    expect(await fetchTiny({ offline: true })).toBe(snapshot)
    vi.stubEnv('HF_HUB_OFFLINE', 'true')
    expect(await fetchTiny()).toBe(snapshot)
    await rm(join(snapshot, 'model.safetensors'))
    expect(await failure(fetchTiny(), FileError)).toContain(
      `lacks model.safetensors or model.safetensors.index.json or pytorch_model.bin or pytorch_model.bin.index.json of commit ${commit}`,
    )
    expect(test.hub.seen).toEqual([])
  })

  it('names shards that are missing', async () => {
    test.hub.add(repo, {
      ...small,
      'model.safetensors.index.json': '{"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}',
      'a.safetensors': 'a',
      'b.safetensors': 'b',
    })
    await rm(join(await fetchTiny(), 'b.safetensors'))
    expect(await failure(fetchTiny({ offline: true }), FileError)).toContain('lacks b.safetensors of')
  })

  it('by accident, uses the cache and says so', async () => {
    test.hub.add(repo, model)
    const snapshot = await fetchTiny()
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9') // nobody listens there
    const notices: string[] = []
    expect(await fetchTiny({ onNotice: notice => notices.push(notice) })).toBe(snapshot)
    expect(notices).toHaveLength(1)
    expect(notices[0]).toMatch(/127.0.0.1:9 cannot be reached.*using commit [0-9a-f]{40} from the cache/)
    expect(await failure(fetchTiny({ revision: 'v2' }), TransientError)).toMatch(
      /cannot be reached.*the cache .* does not hold v2/,
    )
  })

  it('by an error of the hub, too', async () => {
    test.hub.add(repo, model)
    const snapshot = await fetchTiny()
    test.hub.intercept = (_, response) => {
      refuse(response, 503)
      return true
    }
    const notices: string[] = []
    expect(await fetchTiny({ onNotice: notice => notices.push(notice) })).toBe(snapshot)
    expect(notices.join()).toContain('HTTP 503')
  })
})

describe('two at the same time', () => {
  it('do no harm', async () => {
    test.hub.add(repo, model)
    const snapshots = await Promise.all([1, 2, 3, 4].map(() => fetchTiny()))
    expect(new Set(snapshots).size).toBe(1)
    expect(await checksum(snapshots[0])).toBe(sha256(weights))
    expect(await blobs()).toEqual([gitSha1(Buffer.from(config)), sha256(Buffer.from('pieces')), sha256(weights)].sort())
    expect((await readdir(snapshots[0])).sort()).toEqual(Object.keys(model).sort())
  })
})

it('an abort keeps what has come, and the next call goes on from there', async () => {
  test.hub.add(repo, model)
  test.hub.cut(sha256(weights), 100_000)
  const controller = new AbortController()
  const reason = new Error('stop')
  const onNotice = vi.fn()
  const fetching = fetchTiny({
    onNotice,
    signal: controller.signal,
    onProgress: ({ file, bytes }) => {
      if (file === 'model.safetensors' && bytes === 100_000) controller.abort(reason)
    },
  })
  await expect(fetching).rejects.toBe(reason)
  expect(onNotice).not.toHaveBeenCalled()
  expect(sha256(await readFile(incomplete(weights)))).toBe(sha256(weights.subarray(0, 100_000)))
  expect(await checksum(await fetchTiny())).toBe(sha256(weights))
  expect(storageRequests().filter(range => range !== undefined)).toEqual(['bytes=100000-'])
  expect((await blobs()).filter(name => name.includes('incomplete'))).toEqual([])
})
