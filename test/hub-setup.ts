import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { HubError } from '../src/checkpoint/hub/errors.js'
import { fetchModel } from '../src/checkpoint/hub/fetch-model.js'
import type { FetchOptions } from '../src/checkpoint/hub/fetch-model.js'
import { sha256, TestHub } from './hub-server.js'

/**
 * A hub and an empty cache for each test, which the environment names; the user's own token and cache are out of reach.
 */
export function useTestHub(): { readonly hub: TestHub; readonly cache: string } {
  const current = {} as { hub: TestHub; cache: string }
  beforeEach(async () => {
    current.hub = await TestHub.start()
    current.cache = await mkdtemp(join(tmpdir(), 'switchyard-hub-'))
    const proxies = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap(name => [name, name.toUpperCase()])
    const own = ['HF_HOME', 'XDG_CACHE_HOME', 'HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE']
    for (const name of [...own, ...proxies]) vi.stubEnv(name, '')
    vi.stubEnv('HF_ENDPOINT', current.hub.url)
    vi.stubEnv('HF_HUB_CACHE', current.cache)
    vi.stubEnv('HF_TOKEN_PATH', join(current.cache, 'no-token'))
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await current.hub.stop()
    await rm(current.cache, { recursive: true, force: true })
  })
  return current
}

/** A model of two files for tests of downloads. Its weights are random, so that no two test files share a blob. */
export function tinyModel() {
  const repo = 'google/tiny'
  const weights = randomBytes(400_000)
  /** What the last fetch has said. */
  const notices: string[] = []
  const fetchTiny = (options: FetchOptions = {}): Promise<string> => {
    notices.length = 0
    return fetchModel(repo, { firstWait: 0.01, onNotice: notice => notices.push(notice), ...options })
  }
  /** Fetches the model. Returns the checksum of its weights: comparing so many bytes one by one takes long. */
  const fetchWeights = async (options: FetchOptions = {}): Promise<string> =>
    sha256(await readFile(join(await fetchTiny(options), 'model.safetensors')))
  const model = { 'config.json': '{"model_type": "t5"}', 'model.safetensors': weights }
  return { repo, weights, etag: sha256(weights), model, notices, fetchTiny, fetchWeights }
}

/** The message of the error with which a promise rejects; the error must be of the given class. */
export async function failure(
  body: Promise<unknown>,
  kind: abstract new (...args: never[]) => Error = HubError,
): Promise<string> {
  const error: unknown = await body.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(kind)
  return (error as Error).message
}
