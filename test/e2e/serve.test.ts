import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CalledCli } from './called-cli.js'
import { Cli } from './cli.js'
import type { Ended } from './cli.js'

let cli: Cli
beforeAll(async () => {
  cli = await Cli.create()
})
afterAll(() => cli?.remove())

/** A started server. */
class Server {
  log = ''
  private process: { kill(signal: NodeJS.Signals): void } | undefined
  readonly ended: Promise<Ended>

  constructor(...args: readonly string[]) {
    this.ended = cli.start(['serve', ...args, '--port', '0'], (stdout, process) => {
      this.log = stdout
      this.process = process
    })
  }

  /** Waits until the log has what the pattern describes, and returns its last group. */
  async logged(pattern: RegExp, after = 0): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.log.slice(after))
      if (found) return found.at(-1)!
      await sleep(10)
    }
  }

  readonly listening = (): Promise<string> => this.logged(/Server listening at (http:[^"]*)/)
  readonly loaded = async (after = 0): Promise<number> =>
    Number(await this.logged(/loaded in .* by process (\d+)/, after))

  signal(name: NodeJS.Signals): void {
    this.process!.kill(name)
  }
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Waits until the model's process answers a request. */
async function untilRunning(url: string): Promise<void> {
  while (!/^vllm:num_requests_running\S* 1$/m.test(await (await fetch(`${url}/metrics`)).text())) await sleep(10)
}

async function untilStopping(url: string): Promise<void> {
  while (((await (await fetch(`${url}/health`)).json()) as { status: string }).status !== 'stopping') await sleep(10)
}

const clientOf = (url: string, apiKey: string): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })
/** An answer that takes seconds. */
const long = { model: 'g2p', prompt: 'hello', max_tokens: 600, min_tokens: 600 }

describe('switchyard serve', () => {
  it('answers the client of OpenAI, survives kill -9 of a model, swaps a model, and finishes requests when it stops', async () => {
    await writeFile(join(cli.folder, 'keys.txt'), 'first\nsecond\n')
    const server = new Server('g2p', '--api-key-file', 'keys.txt', '--admin-key', 'root')
    const url = await server.listening()
    expect([200, 503]).toContain((await fetch(`${url}/health`)).status)
    const pid = await server.loaded()
    expect((await fetch(`${url}/health`)).status).toBe(200)

    const client = clientOf(url, 'second')
    const hello = { model: 'g2p', prompt: 'hello' }
    const text = async (): Promise<string> => (await client.completions.create(hello)).choices[0].text
    expect(await text()).toBe('HH EH L OW')
    let streamed = ''
    for await (const { choices } of await client.completions.create({ ...hello, stream: true }))
      streamed += choices[0]?.text ?? ''
    expect(streamed).toBe('HH EH L OW')
    await expect(clientOf(url, 'third').completions.create(hello)).rejects.toMatchObject({ status: 401 })

    // The process of the model is killed while it answers.
    const killed = client.completions.create(long)
    const failed = expect(killed).rejects.toMatchObject({
      status: 500,
      message: expect.stringContaining('the process of the model g2p has ended (SIGKILL)') as string,
    })
    await untilRunning(url)
    process.kill(pid, 'SIGKILL')
    await failed
    expect(await text()).toBe('HH EH L OW')
    expect(isRunning(pid)).toBe(false)
    expect(server.log).toMatch(
      /"level":40,.*"model":"g2p","msg":"its process has ended \(SIGKILL\), .*it is started again"/,
    )

    // Another version is loaded while requests run.
    const seen = server.log.length
    const running = client.completions.create(long)
    const swapped = fetch(`${url}/admin/models`, {
      method: 'POST',
      headers: { authorization: 'Bearer root', 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'g2p', path: 'g2p' }),
    })
    let isSwapped = false
    void swapped.then(() => (isSwapped = true))
    while (!isSwapped) expect(await text()).toBe('HH EH L OW')
    expect((await swapped).status).toBe(200)
    const next = await server.loaded(seen)
    expect((await running).choices[0].finish_reason).toBe('length')
    expect(await text()).toBe('HH EH L OW')

    // It stops while a request runs.
    const last = client.completions.create(long)
    await untilRunning(url)
    server.signal('SIGTERM')
    await untilStopping(url)
    await expect(text()).rejects.toMatchObject({ status: 503 })
    expect((await last).usage?.completion_tokens).toBe(600)
    const { code, stderr } = await server.ended
    expect(code).toBe(0)
    expect(stderr).toContain(`listening at ${url}, loading g2p\nready: g2p\n`)
    expect(stderr).toContain('stopping: running requests are finished')
    expect(isRunning(next)).toBe(false)
    // Keys are never logged.
    expect(server.log).not.toMatch(/second|third|root/)
  })

  it('serves several models by their names, and ends at once by a second Ctrl-C', async () => {
    process.env.SWITCHYARD_API_KEYS = 'fourth, fifth'
    const server = new Server('spell=g2p', 'g2p', 'nosuch', '--replicas', '2', '--log-level', 'info')
    delete process.env.SWITCHYARD_API_KEYS
    const url = await server.listening()
    const client = clientOf(url, 'fifth')
    await server.logged(/"model":"g2p".* process /)
    const pids = [...server.log.matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid))
    expect(pids).toHaveLength(4)
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['spell', 'g2p'])
    // A model that cannot be loaded does not end the command.
    await server.logged(/"model":"nosuch","msg":"the model could not be loaded: nosuch: there is no such folder/)
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'degraded' })
    await expect(clientOf(url, 'none').models.list()).rejects.toMatchObject({ status: 401 })
    const answers = client.completions.create({ ...long, model: 'spell' }).catch((error: unknown) => error)
    await untilRunning(url)
    server.signal('SIGINT')
    await untilStopping(url)
    server.signal('SIGINT')
    expect((await server.ended).code).toBe(130)
    expect(await answers).toBeInstanceOf(OpenAI.APIConnectionError)
    while (pids.some(isRunning)) await sleep(10)
  })
})

describe('switchyard serve says what is wrong:', () => {
  let called: CalledCli
  beforeAll(async () => {
    called = await CalledCli.create()
    await writeFile(join(called.folder, 'empty.txt'), '\n')
  })
  afterAll(() => called?.remove())

  it.each<[string, readonly string[], number, string]>([
    ['no model', [], 2, "missing required argument 'models'"],
    ['a model that is not there', ['nosuch'], 1, 'nosuch: there is no such folder'],
    ['two models of a name', ['g2p', 'g2p'], 2, 'have the same name, g2p: give one of them another with NAME=MODEL'],
    ['an empty name', ['=g2p'], 2, 'there is no name before the ='],
    ['a file without keys', ['g2p', '--api-key-file', 'empty.txt'], 2, 'empty.txt: there is no key in this file'],
    ['a missing file', ['g2p', '--template', 'chat.jinja'], 1, 'chat.jinja: there is no such file'],
    ['a key of two words', ['g2p', '--api-key', 'a b'], 2, 'a key is empty, or has spaces'],
    ['a wrong port', ['g2p', '--port', '99999'], 2, 'expected a whole number from 0 to 65535'],
    ['a port that is no number', ['g2p', '--port', 'abc'], 2, 'expected a whole number from 0 to 65535'],
    ['a foreign address', ['g2p', '--host', '192.0.2.1'], 2, '192.0.2.1 is not an address of this machine'],
    ['other bits', ['g2p', '--port', '0', '--quantize', 'int4'], 2, 'have 8 bits already'],
  ])('%s', async (_, args, code, message) => {
    const ended = await called.run('serve', ...args)
    expect(ended.stderr).toContain(message)
    expect(ended.code).toBe(code)
  })

  it('a port that is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => other.once('listening', resolve))
    const { port } = other.address() as AddressInfo
    const ended = await called.run('serve', 'g2p', '--port', String(port))
    other.close()
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`port ${port} of 127.0.0.1 is in use`) as string,
    })
  })
})
