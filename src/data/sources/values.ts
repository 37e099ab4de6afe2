import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { deserialize, serialize } from 'node:v8'
import { FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { withPath } from '../../base/system-errors.js'
import type { Fields } from '../preprocessor.js'
import { checkCut, MAX_RECORD_BYTES } from './records.js'
import type { RecordFormat } from './records.js'
import { cutTfRecords, frameTfRecord } from './tfrecord/framing.js'

/**
 * Our own files of examples, for data without random access: each example in the structured clone format, in the frames
 * of TFRecord, whose checksums find damage. `describe` names a record in messages by its number.
 */
export const valueFormat = (describe: (number: number) => string): RecordFormat => ({
  async *cut(chunks, path) {
    let number = 0
    for await (const record of cutTfRecords(chunks, path)) {
      const named = { ...record, where: describe(number++) }
      // A damaged copy is no fault of the user's data: none of its records is skipped.
      checkCut(named)
      yield named
    }
  },
  parse: bytes => deserialize(bytes) as Fields,
})

/** Writes such a file. Only one example at a time is in memory. */
export async function writeValues(path: string, examples: AsyncIterable<Fields>): Promise<void> {
  async function* frames(): AsyncGenerator<Uint8Array> {
    for await (const example of examples) {
      const bytes = serialize(example)
      if (bytes.length > MAX_RECORD_BYTES)
        throw new FileError(
          `an example has ${formatBytes(bytes.length)}; at most ${formatBytes(MAX_RECORD_BYTES)} are kept`,
        )
      yield frameTfRecord(bytes)
    }
  }
  await withPath(path, () => pipeline(Readable.from(frames()), createWriteStream(path, { flags: 'wx' })))
}
