import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../test/hub-server.js'
import { failure, tinyModel, useTestHub } from '../../../test/hub-setup.js'
import { TransientError } from './errors.js'

const { repo, weights, etag, model, notices, fetchTiny, fetchWeights } = tinyModel()

const test = useTestHub()
const blobFolder = (): string => join(test.cache, 'models--google--tiny/blobs')
const blob = (ending = ''): string => join(blobFolder(), etag + ending)
const weightNames = async (): Promise<string[]> => (await readdir(blobFolder())).filter(name => name.startsWith(etag))

/** What was asked of the storage: from which byte on, and how many were sent. */
const transfers = (): [from: number, bytes: number][] =>
  test.hub.seen
    .filter(({ server }) => server === 'storage')
    .map(({ range, sent }) => [Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]), sent])

describe('a connection that breaks', () => {
  it('is taken up again where it broke, and no byte is sent twice', async () => {
    test.hub.add(repo, model)
    test.hub.cut(etag, 100_000, 150_000)
    expect(await fetchWeights()).toBe(etag)
    expect(transfers()).toEqual([
      [0, 100_000],
      [100_000, 150_000],
      [250_000, 150_000],
    ])
    expect(notices).toHaveLength(2)
    expect(notices[0]).toMatch(
      /^google\/tiny: 127.0.0.1:\d+ cannot be reached, or the connection broke \(.+\); trying again in 0s$/,
    )
    expect(await weightNames()).toEqual([etag])
  })

  it('often is no reason to give up, as long as something comes', async () => {
    test.hub.add(repo, model)
    test.hub.cut(etag, ...Array.from({ length: 8 }, () => 10_000))
    expect(await fetchWeights()).toBe(etag)
    expect(transfers().at(-1)).toEqual([80_000, 320_000])
  })

  it('again and again without getting further ends in an error, and the next call goes on', async () => {
    test.hub.add(repo, model)
    test.hub.cut(etag, 100_000, 0, 0, 0, 0, 0)
    expect(await failure(fetchTiny(), TransientError)).toMatch(
      /^google\/tiny: .*the downloaded part of model.safetensors is kept/,
    )
    expect(sha256(await readFile(blob('.incomplete')))).toBe(sha256(weights.subarray(0, 100_000)))
    test.hub.cut(etag)
    expect(await fetchWeights()).toBe(etag)
    expect(transfers().at(-1)).toEqual([100_000, 300_000])
  })

  it('starts from the beginning if the server knows no ranges, and nothing is spliced', async () => {
    test.hub.add(repo, model)
    test.hub.cut(etag, 100_000)
    test.hub.intercept = ({ server, range }, response) => {
      if (server !== 'storage' || range === undefined) return false
      response.writeHead(200, { 'content-length': weights.byteLength }).end(weights)
      return true
    }
    expect(await fetchWeights()).toBe(etag)
  })

  it.each([
    ['another range', 206, 'bytes 0-399999/400000'],
    ['a file of another size', 206, 'bytes 100000-499999/500000'],
    ['none', 416, 'bytes */400000'],
  ])('starts from the beginning if the server gives %s', async (_, status, range) => {
    test.hub.add(repo, model)
    test.hub.cut(etag, 100_000)
    test.hub.intercept = (request, response) => {
      if (request.server !== 'storage' || request.range === undefined) return false
      response.writeHead(status, { 'content-range': range }).end(weights)
      return true
    }
    expect(await fetchWeights()).toBe(etag)
    expect(notices.at(-1)).toContain('cannot resume')
    expect(transfers().at(-1)).toEqual([0, 400_000])
  })
})

describe('what an earlier process has left', () => {
  const owned = (pid: number): string => `.${hostname().replace(/\W/g, '_').slice(0, 64)}-${pid}-01234567.incomplete`

  it('is taken up after a crash', async () => {
    test.hub.add(repo, model)
    const dead = spawnSync(process.execPath, ['--version']).pid
    await mkdir(blobFolder(), { recursive: true })
    await writeFile(blob('.incomplete'), weights.subarray(0, 1000))
    await writeFile(blob(owned(dead)), weights.subarray(0, 300_000))
    expect(await fetchWeights()).toBe(etag)
    expect(transfers()).toEqual([[300_000, 100_000]])
    expect(await weightNames()).toEqual([etag]) // the smaller one, too, is of no use any more
  })

  it('is left alone as long as that process lives', async () => {
    test.hub.add(repo, model)
    await mkdir(blobFolder(), { recursive: true })
    await writeFile(blob(owned(process.ppid)), weights.subarray(0, 300_000))
    expect(await fetchWeights()).toBe(etag)
    expect(transfers()).toEqual([[0, 400_000]])
    expect(await weightNames()).toEqual([etag, etag + owned(process.ppid)])
  })

  it('is taken up from a process that has not touched it for long, even if one of its number lives', async () => {
    test.hub.add(repo, model)
    await mkdir(blobFolder(), { recursive: true })
    await writeFile(blob(owned(process.ppid)), weights.subarray(0, 300_000))
    const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000)
    await utimes(blob(owned(process.ppid)), longAgo, longAgo)
    expect(await fetchWeights()).toBe(etag)
    expect(transfers()).toEqual([[300_000, 100_000]])
  })

  it('needs no request if it is all there, and is thrown away if it is more', async () => {
    test.hub.add(repo, model)
    await mkdir(blobFolder(), { recursive: true })
    await writeFile(blob('.incomplete'), weights)
    expect(await fetchWeights()).toBe(etag)
    expect(transfers()).toEqual([])
    test.hub.add(repo, { ...model, 'model.safetensors': weights.subarray(1) })
    await writeFile(join(blobFolder(), `${sha256(weights.subarray(1))}.incomplete`), weights)
    expect(await fetchWeights()).toBe(sha256(weights.subarray(1)))
  })

  it('is no link to somewhere else', async () => {
    test.hub.add(repo, model)
    await mkdir(blobFolder(), { recursive: true })
    const outside = join(test.cache, 'outside')
    await writeFile(outside, weights.subarray(0, 1000))
    await symlink(outside, blob('.incomplete'))
    expect(await fetchWeights()).toBe(etag)
    expect(transfers()).toEqual([[0, 400_000]])
    expect((await stat(outside)).size).toBe(1000)
  })

  it('of another file under the same name is not mixed with this one', async () => {
    const other = randomBytes(400_000)
    test.hub.add(repo, { ...model, 'model.safetensors': other })
    test.hub.cut(sha256(other), 100_000, 0, 0, 0, 0, 0)
    await failure(fetchTiny(), TransientError)
    test.hub.add(repo, model)
    expect(await fetchWeights()).toBe(etag)
    expect(transfers().at(-1)).toEqual([0, 400_000])
  })
})

describe('wrong content', () => {
  const answerWith = (data: Uint8Array): void => {
    test.hub.intercept = ({ server }, response) => {
      if (server !== 'storage') return false
      response.end(data)
      return true
    }
  }

  it('is found by its checksum and deleted', async () => {
    test.hub.add(repo, model)
    answerWith(Buffer.concat([weights.subarray(0, -1), Buffer.of(weights.at(-1)! ^ 1)]))
    expect(await failure(fetchTiny())).toMatch(/model.safetensors has the checksum [0-9a-f]{64} instead of/)
    expect(await weightNames()).toEqual([])
  })

  it('of a small file, too', async () => {
    test.hub.add(repo, model)
    test.hub.intercept = ({ path }, response) => {
      if (!path.endsWith('/config.json')) return false
      response.end('{"model_type": "t6"}')
      return true
    }
    expect(await failure(fetchTiny())).toMatch(/config.json has the checksum [0-9a-f]{40} instead of/)
    expect(await readdir(blobFolder())).toEqual([])
  })

  it('is found in what was there, and deleted', async () => {
    test.hub.add(repo, model)
    await mkdir(blobFolder(), { recursive: true })
    await writeFile(blob('.incomplete'), randomBytes(1000))
    expect(await failure(fetchTiny())).toContain('checksum')
    expect(await weightNames()).toEqual([])
    expect(await fetchWeights()).toBe(etag)
  })

  it('that is too long is not read to its end', async () => {
    test.hub.add(repo, model)
    answerWith(Buffer.concat([weights, weights]))
    expect(await failure(fetchTiny())).toContain('longer than the 400,000 bytes')
    expect(await weightNames()).toEqual([])
  })

  it('of a file that has changed since it was listed is not added to it', async () => {
    test.hub.add(repo, model)
    test.hub.cut(etag, 100_000)
    let asked = 0
    test.hub.intercept = ({ path }, response) => {
      if (!path.endsWith('/model.safetensors') || ++asked < 2) return false
      response
        .writeHead(302, { location: `${test.hub.storageUrl}/${etag}`, 'x-linked-etag': `"${'0'.repeat(64)}"` })
        .end()
      return true
    }
    expect(await failure(fetchTiny())).toContain(`sends another model.safetensors than it lists (${'0'.repeat(64)}`)
    expect(await weightNames()).toEqual([])
  })
})
