import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shippedModel } from '../../src/open/shipped-models.js'
import { openServedModel } from '../../src/serve/models/open-served-model.js'
import { serveWith } from '../../src/serve/serve.js'
import type { RunningServer } from '../../src/serve/serve.js'
import { defaultLimits } from '../../src/serve/settings.js'
import { distance } from './client.js'
import { aborted, concurrent, soloAnswers } from './phases.js'
import { requests } from './requests.js'

// The small version of `npm run test:load`, with the model in this process.

let server: RunningServer
beforeAll(async () => {
  const path = (await shippedModel('g2p'))!
  server = await serveWith(() => openServedModel({ name: 'g2p', path, limits: defaultLimits }), {
    models: [{ name: 'g2p', path }],
    port: 0,
    logLevel: 'silent',
  })
  await server.ready
})
afterAll(() => server.close())

/** Words alone and in rows, each in one of the ways to generate. */
const few = requests.filter((_, i) => i % 11 === 0)

describe('a server under load', () => {
  it('gives ten clients the answers that each request gets alone, and keeps nothing of clients that leave', async () => {
    const solo = await soloAnswers(server.url, few)
    const { problems, rows } = await concurrent(server.url, solo, { clients: 10, seconds: 2 })
    expect(problems).toEqual([])
    expect(Number(rows[0][1])).toBeGreaterThan(20)
    expect((await aborted(server.url, few, 100)).problems).toEqual([])
    // The comparison notices another answer.
    expect(distance(solo[0].seen, solo[1].seen)).toBe(Infinity)
  })
})
