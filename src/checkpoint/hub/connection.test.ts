import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { refuse, sendJson } from '../../../test/hub-server.js'
import { failure, tinyModel, useTestHub } from '../../../test/hub-setup.js'
import { ConfigError, FileError } from '../../base/errors.js'
import { TransientError } from './errors.js'
import { fetchModel } from './fetch-model.js'

const { repo, etag, model, notices, fetchTiny, fetchWeights } = tinyModel()

const test = useTestHub()

it('a host that does not exist is tried twice, no more', async () => {
  for (const endpoint of ['http://no-such-host.invalid', 'http://localhost:1']) {
    vi.stubEnv('HF_ENDPOINT', endpoint)
    expect(await failure(fetchTiny(), TransientError)).toContain('cannot be reached')
    expect(notices).toHaveLength(1)
  }
})

describe('refusals', () => {
  const answer = (status: number, code?: string, headers?: Record<string, string>): void => {
    test.hub.intercept = ({ server }, response) => {
      if (server === 'hub') refuse(response, status, code, headers)
      return server === 'hub'
    }
  }

  it('say what to do', async () => {
    expect(await failure(fetchTiny())).toMatch(/no such model at .*, or it is private: check the name; .* set HF_TOKEN/)
    test.hub.add(repo, model)
    expect(await failure(fetchTiny({ revision: 'v9' }))).toContain('no revision "v9" of this model')
    vi.stubEnv('HF_TOKEN', 'hf_test')
    expect(await failure(fetchModel('google/none'))).toMatch(/no such model at .*, or your token may not see it/)
    answer(401)
    expect(await failure(fetchTiny())).toContain('does not accept your token')
    answer(403, 'GatedRepo')
    expect(await failure(fetchTiny())).toContain(`gated: accept its terms at ${test.hub.url}/google/tiny`)
    answer(403)
    expect(await failure(fetchTiny())).toContain('your token may not read this model')
    answer(418)
    expect(await failure(fetchTiny())).toMatch(/127.0.0.1:\d+ answered with HTTP 418/)
    expect(test.hub.seen).toHaveLength(7) // none of them is tried again
  })

  it.each([
    [429, 'asks for fewer requests'],
    [503, 'has an error just now'],
  ])('for a time (%i) are waited for', async (status, text) => {
    test.hub.add(repo, model)
    let left = 3
    test.hub.intercept = (_, response) => {
      if (left > 0) refuse(response, status, undefined, { 'retry-after': '0' })
      return left-- > 0
    }
    expect(await fetchWeights({ firstWait: 1000 })).toBe(etag) // Retry-After counts, not our own wait
    expect(notices).toHaveLength(3)
    expect(notices[0]).toContain(text)
  })

  it('for a long time are not waited for', async () => {
    answer(429, undefined, { 'retry-after': '3600' })
    expect(await failure(fetchTiny(), TransientError)).toContain('asks to wait for 1h00m')
    expect(test.hub.seen).toHaveLength(1)
  })

  it('end the trying after some times', async () => {
    answer(500)
    expect(await failure(fetchTiny(), TransientError)).toMatch(/HTTP 500.*the cache .* does not hold main/)
    expect(test.hub.seen).toHaveLength(5)
  })

  it('of the storage lead back to the hub for a new address', async () => {
    test.hub.add(repo, model)
    let first = true
    test.hub.intercept = ({ server }, response) => {
      if (server !== 'storage' || !first) return false
      first = false
      refuse(response, 403)
      return true
    }
    expect(await fetchWeights()).toBe(etag)
    expect(
      test.hub.seen.filter(({ path }) => path.includes('/resolve/') && path.endsWith('model.safetensors')),
    ).toHaveLength(2)
  })

  it('can be waited for no longer by an abort', async () => {
    answer(500)
    const reason = new Error('stop')
    const controller = new AbortController()
    await expect(
      fetchTiny({ firstWait: 200, signal: controller.signal, onNotice: () => controller.abort(reason) }),
    ).rejects.toBe(reason)
  })
})

describe('the token', () => {
  it.each(['HF_TOKEN', 'HF_TOKEN_PATH'])('of %s goes to the hub, and to no other host', async variable => {
    test.hub.add(repo, model)
    if (variable === 'HF_TOKEN_PATH') await writeFile(join(test.cache, 'no-token'), 'hf_secret\n')
    else vi.stubEnv('HF_TOKEN', 'hf_secret')
    await fetchTiny()
    const sent = (server: string): Set<string | undefined> =>
      new Set(test.hub.seen.filter(request => request.server === server).map(({ authorization }) => authorization))
    expect(sent('hub')).toEqual(new Set(['Bearer hf_secret']))
    expect(sent('storage')).toEqual(new Set([undefined]))
  })

  it('does not follow the list of files to another host', async () => {
    vi.stubEnv('HF_TOKEN', 'hf_secret')
    test.hub.add(repo, model)
    test.hub.intercept = ({ path }, response) => {
      if (!path.includes('/tree/')) return false
      sendJson(response, [], { link: `<${test.hub.storageUrl}/more>; rel="next"` })
      return true
    }
    expect(await failure(fetchTiny())).toContain('or elsewhere')
    expect(test.hub.seen.filter(({ server }) => server === 'storage')).toEqual([])
  })

  it('is refused if it cannot be one, and not printed', async () => {
    vi.stubEnv('HF_TOKEN', 'hf_secret\nX-Header: 1')
    const message = await failure(fetchTiny(), ConfigError)
    expect(message).toContain('HF_TOKEN: this is no access token')
    expect(message).not.toContain('secret')
  })
})

describe('answers that no hub gives', () => {
  const answer = (part: string, body: string | Buffer, headers: Record<string, string> = {}): void => {
    test.hub.intercept = ({ path }, response) => {
      if (!path.includes(part)) return false
      response.writeHead(200, headers).end(body)
      return true
    }
  }
  const oid = '0'.repeat(40)

  it.each([
    ['a page to log in', '/revision/', '<html>', /does not answer as a hub/],
    ['nothing', '/revision/', 'null', /does not answer as a hub/],
    ['no commit', '/revision/', '{"sha": "../../../x"}', /as the commit of "main", which is none/],
    ['too much', '/revision/', Buffer.alloc(10_000_001, ' '), /larger than 9.54 MiB/],
    ['no list', '/tree/', '{"a": 1}', /does not answer as a hub/],
    ['entries without a name', '/tree/', '[null]', /does not answer as a hub/],
    [
      'a checksum that is a path',
      '/tree/',
      JSON.stringify([{ type: 'file', path: 'config.json', size: 2, oid: '../../x' }]),
      /does not answer as a hub/,
    ],
    [
      'a sha256 that is a path',
      '/tree/',
      JSON.stringify([{ type: 'file', path: 'config.json', size: 2, oid, lfs: { oid: '../x', size: 2 } }]),
      /does not answer as a hub/,
    ],
    [
      'a negative size',
      '/tree/',
      JSON.stringify([{ type: 'file', path: 'config.json', size: -2, oid }]),
      /does not answer as a hub/,
    ],
    [
      'only names that are paths',
      '/tree/',
      JSON.stringify([{ type: 'file', path: '../config.json', size: 2, oid }]),
      /no weights .* it has $/,
    ],
  ])('%s', async (_, part, body, message) => {
    test.hub.add(repo, model)
    answer(part, body)
    expect(await failure(fetchTiny())).toMatch(message)
    expect(await readdir(test.cache)).toEqual([])
  })

  it('a list without end', async () => {
    test.hub.add(repo, model)
    answer('/tree/', '[]', { link: `<${test.hub.url}/api/models/google/tiny/tree/more>; rel="next"` })
    expect(await failure(fetchTiny())).toContain('without end')
    expect(test.hub.seen.length).toBeLessThan(150)
  })

  it('redirects without end, or to something else', async () => {
    test.hub.intercept = (_, response) => {
      response.writeHead(302, { location: '/again' }).end()
      return true
    }
    expect(await failure(fetchTiny())).toContain('redirects more than 10 times')
    test.hub.intercept = (_, response) => {
      response.writeHead(302, { location: 'file:///etc/passwd' }).end()
      return true
    }
    expect(await failure(fetchTiny())).toContain('"file:///etc/passwd", which is not safe to follow')
  })

  it.each(['../../evil.safetensors', '/evil.safetensors', 'config.json', 'a\\evil.safetensors', 'evil.bin'])(
    'an index that names the shard %s',
    async shard => {
      test.hub.add(repo, {
        'config.json': '{}',
        'model.safetensors.index.json': JSON.stringify({ weight_map: { a: shard } }),
        [shard]: 'evil',
      })
      expect(await failure(fetchTiny(), FileError)).toContain('is no name of a .safetensors file in this folder')
      expect(test.hub.seen.some(({ path }) => decodeURIComponent(path).includes('evil'))).toBe(false)
    },
  )

  it('an index of more shards than any model has, or of none', async () => {
    const index = (shards: number): string =>
      JSON.stringify({
        weight_map: Object.fromEntries(Array.from({ length: shards }, (_, i) => [`t${i}`, `${i}.safetensors`])),
      })
    test.hub.add(repo, { 'config.json': '{}', 'model.safetensors.index.json': index(10_001) })
    expect(await failure(fetchTiny(), FileError)).toContain('more than 10,000 shards')
    test.hub.add(repo, { 'config.json': '{}', 'model.safetensors.index.json': index(0) })
    expect(await failure(fetchTiny(), FileError)).toContain('no shards')
  })
})
