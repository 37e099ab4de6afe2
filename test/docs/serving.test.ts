import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shippedModel } from '../../src/open/shipped-models.js'
import { openServedModel } from '../../src/serve/models/open-served-model.js'
import { serveWith } from '../../src/serve/serve.js'
import type { RunningServer } from '../../src/serve/serve.js'
import { defaultLimits } from '../../src/serve/settings.js'
import { FakeModel } from '../fake-served-model.js'

/** A command of docs/serving.md: curl, and what it prints if the next block says so. */
interface Command {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body?: string
  readonly answer?: string
}

const text = readFileSync(new URL('../../docs/serving.md', import.meta.url), 'utf8')
const commands = [...text.matchAll(/```sh\n(curl .*?)\n```(?:\n\n```json\n(.*?)\n```)?/gs)].map(([, line, answer]) => ({
  ...parsed(line),
  answer,
}))

function parsed(line: string): Command {
  const words = [...line.replaceAll('\\\n', '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare)
  const after = (flag: string): string[] => words.flatMap((word, i) => (words[i - 1] === flag ? [word] : []))
  const headers = Object.fromEntries(after('-H').map(header => header.split(/: (.*)/s).slice(0, 2)))
  return { url: words[1], headers, body: after('-d')[0] }
}

/** An answer of the document as a matcher: "..." stands for any text or number, and numbers are near. */
function matcher(value: unknown): unknown {
  if (value === '...') return expect.anything()
  if (typeof value === 'number' && !Number.isInteger(value)) return expect.closeTo(value, 2)
  if (Array.isArray(value)) return value.map(matcher)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, matcher(item)]))
}

let server: RunningServer
beforeAll(async () => {
  const g2p = (await shippedModel('g2p'))!
  server = await serveWith(
    ({ name }) =>
      name === 'g2p'
        ? openServedModel({ name, path: g2p, limits: defaultLimits })
        : Promise.resolve(new FakeModel(name, { dimension: 3 })),
    {
      models: ['g2p', 'sentence-t5-base'].map(name => ({ name, path: name })),
      port: 0,
      logLevel: 'silent',
    },
  )
  await server.ready
})
afterAll(() => server.close())

describe('docs/serving.md', () => {
  it.each(commands)('$url $body', async ({ url, headers, body, answer }) => {
    const { pathname } = new URL(url)
    const response = await fetch(server.url + pathname, { method: body === undefined ? 'GET' : 'POST', headers, body })
    const given = await response.text()
    // The server of this test has no admin keys.
    if (pathname === '/admin/models') return expect(response.status).toBe(403)
    const expected = JSON.parse(answer ?? '{}') as object
    expect(response.status).toBe('error' in expected ? 400 : 200)
    if (answer !== undefined) expect(JSON.parse(given)).toEqual(matcher(expected))
  })
})
