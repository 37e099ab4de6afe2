import { createReadStream } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { FileError } from '../base/errors.js'

/** Bytes of a file whose checksum is asked for. `crc` is the checksum of what comes before them. */
interface Range {
  readonly path: string
  readonly offset: number
  readonly length: number
  readonly crc: number
}

/** What the worker thread runs, for each range that it is sent. As text, it needs no file of its own. */
const program = `
const { closeSync, openSync, readSync } = require('node:fs')
const { parentPort } = require('node:worker_threads')
const { crc32 } = require('node:zlib')
const piece = Buffer.alloc(2 ** 20)
parentPort.on('message', ({ path, offset, length, crc }) => {
  const file = openSync(path)
  for (let done = 0; done < length; ) {
    const bytes = readSync(file, piece, 0, Math.min(piece.length, length - done), offset + done)
    if (bytes === 0) break
    crc = crc32(piece.subarray(0, bytes), crc)
    done += bytes
  }
  closeSync(file)
  parentPort.postMessage(crc)
})`

/** The worker thread, while it has work, and the requests that it has not answered yet, the oldest first. */
let worker: Worker | undefined
const waiting: { resolve: (crc: number) => void; reject: (error: Error) => void }[] = []

/** So many bytes take less time than a worker thread takes to start. */
const FEW_BYTES = 2 ** 24

/** The bytes of the ranges that this thread is reading. */
let bytesHere = 0

/**
 * CRC-32 of a range of a file, continued from `crc`. If there is much to read, it is computed in a worker thread,
 * because ONNX Runtime blocks the calling thread while it reads the same bytes.
 */
export function rangeChecksum(range: Range): Promise<number> {
  if (!worker && bytesHere + range.length <= FEW_BYTES) return checksumHere(range)
  worker ??= startWorker()
  worker.postMessage(range)
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
}

async function checksumHere({ path, offset, length, crc }: Range): Promise<number> {
  if (length === 0) return crc
  bytesHere += length
  try {
    const pieces = createReadStream(path, { start: offset, end: offset + length - 1, highWaterMark: 2 ** 20 })
    let sum = crc
    for await (const piece of pieces) sum = crc32(piece as Buffer, sum)
    return sum
  } catch (cause) {
    throw failure(cause as Error)
  } finally {
    bytesHere -= length
  }
}

const failure = (cause: Error): FileError => new FileError(`a checksum cannot be computed: ${cause.message}`, { cause })

function startWorker(): Worker {
  const started = new Worker(program, { eval: true })
  const end = (): void => {
    worker = undefined
    void started.terminate()
  }
  started.on('message', (crc: number) => {
    waiting.shift()?.resolve(crc)
    if (waiting.length === 0) end()
  })
  started.on('error', cause => {
    const error = failure(cause)
    for (const { reject } of waiting.splice(0)) reject(error)
    end()
  })
  return started
}
