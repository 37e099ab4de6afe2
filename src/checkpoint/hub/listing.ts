import * as z from 'zod'
import { SwitchyardError } from '../../base/errors.js'
import { formatBytes, formatCount } from '../../base/format.js'
import { isPlainName } from '../files.js'
import { quote } from '../format.js'
import type { Connection } from './connection.js'
import { HubError } from './errors.js'
import { isCommit } from './name.js'

const maxAnswerBytes = 10_000_000
const maxEntries = 20_000
const maxPages = 100

/** A file of a model, as the hub lists it. */
export interface RemoteFile {
  readonly name: string
  /** In bytes. */
  readonly size: number
  /**
   * The checksum of its content: sha256 for a large file, git's sha1 for a small one. It is the blob's name in the
   * cache.
   */
  readonly etag: string
}

// The names become paths and the sizes are trusted later, so the hub's answer is validated.
const entry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: z.string().regex(/^[0-9a-f]{40}$/),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).nullish(),
})

/** The commit that the model's revision currently refers to. */
export async function resolveCommit(connection: Connection): Promise<string> {
  const { repo, revision } = connection.model
  const { modelInfo } = await import('@huggingface/hub')
  const { sha } = await asHub(connection, () =>
    modelInfo({
      name: repo,
      revision,
      additionalFields: ['sha'],
      hubUrl: connection.settings.endpoint,
      fetch: jsonFetch(connection),
    }),
  )
  if (typeof sha !== 'string' || !isCommit(sha))
    throw new HubError(
      `${repo}: the hub names ${quote(String(sha))} as the commit of ${quote(revision)}, which is none: check HF_ENDPOINT`,
    )
  return sha
}

/**
 * The files in the model's own folder at a commit, by name. `recursive`: with those in folders below it, under names
 * such as `2_Dense/config.json`.
 */
export async function listModel(
  connection: Connection,
  commit: string,
  { recursive = false }: { recursive?: boolean } = {},
): Promise<Map<string, RemoteFile>> {
  const { repo } = connection.model
  const { listFiles } = await import('@huggingface/hub')
  return asHub(connection, async () => {
    const files = new Map<string, RemoteFile>()
    let entries = 0
    for await (const item of listFiles({
      repo,
      revision: commit,
      recursive,
      hubUrl: connection.settings.endpoint,
      fetch: jsonFetch(connection),
    })) {
      if (++entries > maxEntries)
        throw new HubError(`${repo}: the hub lists more than ${formatCount(maxEntries)} files: this is no model`)
      const { type, path, size, oid, lfs } = entry.parse(item)
      const isWanted = recursive ? path.split('/').every(isPlainName) : isPlainName(path)
      if (type === 'file' && isWanted) files.set(path, { name: path, size: lfs?.size ?? size, etag: lfs?.oid ?? oid })
    }
    return files
  })
}

/**
 * Runs `body`. If the server does not answer as a hub, the package throws a TypeError or SyntaxError, which becomes a
 * HubError.
 */
async function asHub<T>(connection: Connection, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (
      error instanceof SwitchyardError ||
      !(error instanceof TypeError || error instanceof SyntaxError || error instanceof z.ZodError)
    )
      throw error
    throw new HubError(
      `${connection.model.repo}: ${connection.settings.endpoint} does not answer as a hub does: check HF_ENDPOINT, and whether a proxy or a login page stands between`,
      { cause: error },
    )
  }
}

/** A `fetch` for the package: through our connection, for answers of limited size and number. */
function jsonFetch(connection: Connection): typeof fetch {
  let pages = 0
  return async input => {
    const url = String(input)
    const { repo } = connection.model
    // The URLs of the list's further pages come from the server.
    if (new URL(url).origin !== new URL(connection.settings.endpoint).origin || ++pages > maxPages)
      throw new HubError(
        `${repo}: the hub's list of files goes on without end, or elsewhere, at ${quote(url)}: check HF_ENDPOINT`,
      )
    return connection.withRetries(async () => {
      const answer = await connection.get(url, { accept: 'application/json' })
      const pieces: Uint8Array[] = []
      let bytes = 0
      for await (const piece of answer.chunks()) {
        bytes += piece.byteLength
        if (bytes > maxAnswerBytes)
          throw new HubError(
            `${repo}: the hub's answer is larger than ${formatBytes(maxAnswerBytes)}: check HF_ENDPOINT`,
          )
        pieces.push(piece)
      }
      return new Response(Buffer.concat(pieces), { headers: answer.headers })
    })
  }
}
