import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, relative } from 'node:path'

// Answers as the Hugging Face hub does, for tests: the API, /resolve/ with small files, and redirects to a second
// server, on another origin, for large ones.

/** A request that was answered, and how many bytes of a file went out for it. */
export interface Seen {
  readonly server: 'hub' | 'storage'
  readonly method: string
  /** The path of the URL, with the query. */
  readonly path: string
  readonly range?: string
  readonly authorization?: string
  sent: number
}

export interface TestFile {
  readonly data: Uint8Array
  /** sha256 of a large file, git's sha1 of a small one. */
  readonly etag: string
  readonly isLarge: boolean
}

interface TestModel {
  /** Branches and tags. */
  readonly revisions: Map<string, string>
  readonly commits: Map<string, Map<string, TestFile>>
}

export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')
export const gitSha1 = (data: Uint8Array): string =>
  createHash('sha1').update(`blob ${data.byteLength}\0`).update(data).digest('hex')

export class TestHub {
  readonly seen: Seen[] = []
  private readonly models = new Map<string, TestModel>()
  private readonly cuts = new Map<string, number[]>()
  /** May answer a request itself, by returning true. */
  intercept: (request: Seen, response: ServerResponse) => boolean = () => false

  private constructor(
    private readonly hub: Server,
    private readonly storage: Server,
  ) {}

  static async start(): Promise<TestHub> {
    const servers = [createServer(), createServer()]
    const hub = new TestHub(servers[0], servers[1])
    for (const [i, server] of servers.entries()) {
      server.on('request', (request, response) => hub.answer(i === 0 ? 'hub' : 'storage', request, response))
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    return hub
  }

  async stop(): Promise<void> {
    for (const server of [this.hub, this.storage]) {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }

  /** The value for HF_ENDPOINT. */
  get url(): string {
    return address(this.hub)
  }
  get storageUrl(): string {
    return address(this.storage)
  }

  /**
   * Puts a commit into a model, which is made if it is new, and points a branch or tag at it. Returns the commit's
   * name.
   */
  add(repo: string, files: Readonly<Record<string, string | Uint8Array>>, revision = 'main'): string {
    const model = this.models.get(repo) ?? {
      revisions: new Map<string, string>(),
      commits: new Map<string, Map<string, TestFile>>(),
    }
    const entries = Object.entries(files).map(([name, content]): [string, TestFile] => {
      const data = Buffer.from(content)
      const isLarge = /\.(safetensors|bin|model|h5|msgpack)$/.test(name)
      return [name, { data, isLarge, etag: isLarge ? sha256(data) : gitSha1(data) }]
    })
    const commit = createHash('sha1')
      .update(repo + revision + entries.map(([name, { etag }]) => name + etag).join())
      .digest('hex')
    model.revisions.set(revision, commit)
    model.commits.set(commit, new Map(entries))
    this.models.set(repo, model)
    return commit
  }

  /** Puts a commit with the files of a folder, and of the folders in it, into a model. */
  async addFolder(repo: string, folder: string, revision = 'main'): Promise<string> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const names = entries
      .filter(entry => entry.isFile())
      .map(entry => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    return this.add(
      repo,
      Object.fromEntries(
        await Promise.all(names.map(async name => [name, await readFile(join(folder, name))] as const)),
      ),
      revision,
    )
  }

  /** Breaks the connection after so many bytes of a file: a number for each of its next answers. */
  cut(etag: string, ...after: number[]): void {
    this.cuts.set(etag, after)
  }

  private answer(server: 'hub' | 'storage', request: IncomingMessage, response: ServerResponse): void {
    const {
      headers: { range, authorization },
      method = '',
      url: path = '',
    } = request
    const seen: Seen = { server, method, path, range, authorization, sent: 0 }
    this.seen.push(seen)
    if (this.intercept(seen, response)) return
    const [, owner, name, ...rest] = new URL(path, this.url).pathname
      .replace(/^\/api\/models/, '')
      .split('/')
      .map(decodeURIComponent)
    if (server === 'storage') {
      const file = [...this.models.values()]
        .flatMap(({ commits }) => [...commits.values()])
        .flatMap(files => [...files.values()])
        .find(({ etag }) => etag === owner)
      if (file === undefined) return refuse(response, 403)
      return this.send(seen, file, response, { etag: '"of-the-storage"' })
    }
    const model = this.models.get(`${owner}/${name}`)
    if (model === undefined) return refuse(response, authorization === undefined ? 401 : 404, 'RepoNotFound')
    const commit = model.revisions.get(rest[1]) ?? rest[1]
    const files = model.commits.get(commit)
    if (files === undefined) return refuse(response, 404, 'RevisionNotFound')
    if (rest[0] === 'revision')
      return sendJson(response, {
        _id: '0',
        id: `${owner}/${name}`,
        sha: commit,
        private: false,
        gated: false,
        downloads: 0,
        likes: 0,
        lastModified: '2024-01-01T00:00:00.000Z',
      })
    if (rest[0] === 'tree') return sendJson(response, Array.from(files, listed))
    const file = files.get(rest.slice(2).join('/'))
    if (file === undefined) return refuse(response, 404, 'EntryNotFound')
    response.setHeader('x-repo-commit', commit)
    if (!file.isLarge) return this.send(seen, file, response, { etag: `"${file.etag}"` })
    response
      .writeHead(302, {
        location: `${this.storageUrl}/${file.etag}?signature=1`,
        'x-linked-etag': `"${file.etag}"`,
        'x-linked-size': file.data.byteLength,
      })
      .end()
  }

  private send(seen: Seen, { data, etag }: TestFile, response: ServerResponse, headers: Record<string, string>): void {
    const start = Number(/^bytes=(\d+)-/.exec(seen.range ?? '')?.[1] ?? 0)
    if (seen.range !== undefined && start >= data.byteLength) return refuse(response, 416)
    const end =
      seen.range === undefined
        ? data.byteLength
        : Math.min(Number(/-(\d+)$/.exec(seen.range)?.[1] ?? data.byteLength - 1) + 1, data.byteLength)
    const body = data.subarray(start, end)
    response.writeHead(seen.range === undefined ? 200 : 206, {
      ...headers,
      'content-length': body.byteLength,
      ...(seen.range !== undefined && { 'content-range': `bytes ${start}-${end - 1}/${data.byteLength}` }),
    })
    if (seen.method === 'HEAD') return void response.end()
    const cut = this.cuts.get(etag)?.shift()
    const sent = cut === undefined ? body : body.subarray(0, cut)
    seen.sent = sent.byteLength
    if (cut === undefined) return void response.end(body)
    response.write(sent, () => setTimeout(() => response.destroy(), 50)) // the bytes sent so far must arrive first
  }
}

const address = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const listed = ([path, { data, etag, isLarge }]: [string, TestFile]): object => ({
  type: 'file',
  path,
  size: data.byteLength,
  oid: isLarge ? gitSha1(Buffer.from(etag)) : etag,
  ...(isLarge && { lfs: { oid: etag, size: data.byteLength, pointerSize: 130 } }),
})

export function sendJson(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
}

export function refuse(
  response: ServerResponse,
  status: number,
  code?: string,
  headers: Record<string, string> = {},
): void {
  response
    .writeHead(status, {
      ...headers,
      ...(code !== undefined && { 'x-error-code': code, 'x-error-message': `test: ${code}` }),
    })
    .end()
}
