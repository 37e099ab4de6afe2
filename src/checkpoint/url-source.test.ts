import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { sendRange, startServer } from '../../test/browser/server.js'
import type { Answer } from '../../test/browser/server.js'
import { FileError } from '../base/errors.js'
import { memorySource } from './byte-source.js'
import { readTensors } from './format.js'
import { openSafetensors } from './safetensors-read.js'
import { urlSource } from './url-source.js'

const file = await readFile(
  fileURLToPath(new URL('../../test/fixtures/switch-tiny/model.safetensors', import.meta.url)),
)

let answer: Answer
let sent = 0
const server = await startServer((request, response) => answer(request, response))
const url = `${server.url}/model.safetensors`
afterAll(server.close)

const ranges =
  (bytes: Uint8Array, etag = '"1"'): Answer =>
  (request, response) => {
    sent += sendRange(bytes, request, response, { etag })
  }

const failure = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  return (error as Error).message
}

describe('a file behind a URL', () => {
  it('has the same tensors as the file, and only what is read is sent', async () => {
    answer = ranges(file)
    sent = 0
    const reader = await openSafetensors(await urlSource(url))
    expect(sent).toBeLessThan(file.length / 2)
    const tensors = await readTensors(reader)
    expect(tensors).toEqual(await readTensors(await openSafetensors(memorySource(file))))
    expect(sent).toBeLessThan(file.length + 100)
  })

  it('is read whole from a server that ignores ranges', async () => {
    answer = (_, response) => response.end(file)
    const source = await urlSource(url)
    expect(source.size).toBe(file.length)
    expect(await source.read(8, 100)).toEqual(new Uint8Array(file.subarray(8, 108)))
  })

  it('may be empty', async () => {
    answer = ranges(new Uint8Array())
    expect((await urlSource(url)).size).toBe(0)
  })

  it('is read with the headers that are given', async () => {
    answer = (request, response) =>
      request.headers.authorization === 'Bearer me' ? ranges(file)(request, response) : response.writeHead(401).end()
    expect(await failure(urlSource(url))).toContain('the server answers 401 Unauthorized')
    const source = await urlSource(url, { headers: { authorization: 'Bearer me' } })
    expect(await source.read(0, 3)).toHaveLength(3)
  })

  it('is refused if it changes between two reads', async () => {
    answer = ranges(file)
    const source = await urlSource(url)
    answer = ranges(file, '"2"')
    expect(await failure(source.read(0, 8))).toBe(`${url}: the file was changed while it was read: open it again`)
    answer = ranges(file.subarray(1))
    expect(await failure(source.read(0, 8))).toContain('changed')
  })

  it('is refused if the server sends other bytes, hides which ones, or breaks off', async () => {
    answer = ranges(file)
    const source = await urlSource(url)
    answer = (_, response) =>
      response.writeHead(206, { 'content-range': `bytes 1-8/${file.length}`, etag: '"1"' }).end(file.subarray(1, 9))
    expect(await failure(source.read(0, 8))).toContain('sent bytes 1 to 8 instead of 0 to 7')
    answer = (_, response) => response.writeHead(206).end()
    expect(await failure(source.read(0, 8))).toContain('Access-Control-Expose-Headers')
    answer = (_, response) => {
      const head = { 'content-range': `bytes 0-7/${file.length}`, etag: '"1"', 'content-length': '8' }
      response.writeHead(206, head).write(file.subarray(0, 4), () => response.destroy())
    }
    expect(await failure(source.read(0, 8))).toContain('the transfer broke off')
  })

  it('is refused if there is no server, and not read on when aborted', async () => {
    expect(await failure(urlSource('http://127.0.0.1:9/x'))).toContain('http://127.0.0.1:9/x: cannot be read')
    await expect(urlSource(url, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
})
