import { formatCount } from '../../base/format.js'
import type { RemoteBytes } from '../byte-source.js'
import type { Connection, HubResponse } from './connection.js'
import { HubError, TransientError } from './errors.js'
import type { RemoteFile } from './listing.js'

export interface RangesOptions {
  /** Whether requests are errors, as with HF_HUB_OFFLINE=1. */
  readonly offline?: boolean
  /** Called with the number of bytes that have arrived. */
  readonly onBytes?: (bytes: number) => void
}

/**
 * A file of a model at a commit, read by HTTP range requests. A transfer that breaks off is continued where it broke.
 * Throws a HubError if the hub sends another file than it listed, or cannot send ranges.
 */
export class HubRanges implements RemoteBytes {
  /** As in `google/switch-base-8/model.safetensors`. */
  readonly path: string
  readonly size: number

  constructor(
    private readonly connection: Connection,
    private readonly commit: string,
    readonly file: RemoteFile,
    private readonly options: RangesOptions = {},
  ) {
    this.path = `${connection.model.repo}/${file.name}`
    this.size = file.size
  }

  async readInto(offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (bytes.byteLength === 0) return
    if (this.options.offline)
      throw new HubError(
        `${this.path}: a part of this file is wanted that is not in the cache, and HF_HUB_OFFLINE is set: run the same once with a connection`,
      )
    const connection = this.connection.within(signal)
    let done = 0
    await connection.withRetries(
      () =>
        this.request(connection, offset + done, offset + bytes.byteLength, piece => {
          bytes.set(piece, done)
          done += piece.byteLength
          this.options.onBytes?.(piece.byteLength)
        }),
      () => done,
    )
  }

  /** Gets the bytes from `begin` to `end` in pieces. Throws a TransientError if fewer arrive. */
  private async request(
    connection: Connection,
    begin: number,
    end: number,
    onPiece: (piece: Uint8Array) => void,
  ): Promise<void> {
    const url = connection.urlOf(this.commit, this.file.name)
    const answer = await connection.get(url, { range: `bytes=${begin}-${end - 1}` })
    let at = begin
    try {
      this.check(answer, begin, end)
      for await (const piece of answer.chunks()) {
        if (at + piece.byteLength > end)
          throw new HubError(`${this.path}: the server sends more bytes than it was asked for: check HF_ENDPOINT`)
        onPiece(piece)
        at += piece.byteLength
      }
    } finally {
      await answer.close()
    }
    if (at < end)
      throw new TransientError(
        `a part of ${this.file.name} ended after ${formatCount(at - begin)} of ${formatCount(end - begin)} bytes`,
      )
  }

  /** Throws a HubError unless an answer holds exactly these bytes of the file that the hub has listed. */
  private check({ status, contentName, headers }: HubResponse, begin: number, end: number): void {
    if (contentName !== undefined && contentName !== this.file.etag)
      throw this.changed(`its checksum is ${contentName}`)
    if (status === 200)
      throw new HubError(
        `${this.path}: the server cannot send a part of a file, so experts cannot be fetched one by one: download the model whole (without --experts-memory)`,
      )
    const [, first, last, size] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? []
    if (size !== undefined && Number(size) !== this.size)
      throw this.changed(`it has ${formatCount(Number(size))} bytes`)
    if (status === 416) throw this.changed('it is shorter than it was')
    if (Number(first) !== begin || Number(last) !== end - 1)
      throw new HubError(
        `${this.path}: the server sends bytes ${first ?? '?'} to ${last ?? '?'} instead of ${begin} to ${end - 1}: check HF_ENDPOINT`,
      )
  }

  private changed(how: string): HubError {
    const { etag, size } = this.file
    return new HubError(
      `${this.path}: the file changed on the hub: ${how}, and the hub listed ${etag} with ${formatCount(size)} bytes: run the same again to use the new file`,
    )
  }
}
