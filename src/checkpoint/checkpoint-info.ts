import { join } from 'node:path'
import * as z from 'zod'
import { FileError, SwitchyardError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { textChecksum } from './checksum.js'
import type { Checksums } from './checksum.js'
import { readSmallText } from './files.js'
import { findNotJson, parseJson } from './json.js'
import type { Json } from './json.js'

/** The file of a checkpoint folder that holds everything but tensors. */
export const infoName = 'checkpoint.json'

/** Version 1 had no checksums. */
const version = 2
const maxJsonBytes = 64 * 2 ** 20

const json = z.custom<Json>(value => value !== undefined, 'is missing')
const count = z.int().min(0)
const checksum = z.string().regex(/^[0-9a-f]{8}$/, 'must be 8 hexadecimal digits')

const infoSchema = z.strictObject({
  step: count,
  /** `config`, `task` and `data` belong to other folders of src/ and are stored unchanged. */
  config: json,
  task: json,
  /** The position of the data iterator. */
  data: json,
  seed: count,
  /** A resumed run is exact only on the same backend version with the same number of threads. */
  backendVersion: z.string(),
  threads: z.int().min(1),
  libraryVersion: z.string(),
  /** The best checkpoint of the run up to this one, by the figure that it is chosen by. */
  best: z.strictObject({ step: count, figure: z.string(), value: z.number() }).optional(),
})

const fileSchema = infoSchema.extend({
  format: z.literal('switchyard'),
  version: z.literal([1, version]),
  /** The checksums of the tensors in each file. */
  checksums: z.record(z.string(), z.record(z.string(), checksum)).optional(),
  /** The checksum of all other fields. */
  checksum: checksum.optional(),
})

/** The fields of checkpoint.json, except the format's own. */
export type CheckpointInfo = z.infer<typeof infoSchema>

/** checkpoint.json as it was read, with the checksums of each tensor file; undefined in checkpoints of version 1. */
export interface StoredInfo {
  readonly info: CheckpointInfo
  readonly checksums: Readonly<Record<string, Checksums>> | undefined
}

/**
 * Checks the fields as if they had been read from a file, so that a saved checkpoint can be loaded. Throws a
 * SwitchyardError.
 */
export function checkInfo(folder: string, info: { readonly [K in keyof CheckpointInfo]: unknown }): CheckpointInfo {
  const notJson = findNotJson(info)
  if (notJson !== undefined) throw cannotSave(folder, `${notJson}, which JSON cannot hold`)
  const checked = infoSchema.safeParse(info)
  if (!checked.success) throw cannotSave(folder, z.prettifyError(checked.error))
  infoText(folder, checked.data, {})
  return checked.data
}

/** The text of checkpoint.json. */
export function infoText(folder: string, info: CheckpointInfo, checksums: Readonly<Record<string, Checksums>>): string {
  const fields = { format: 'switchyard', version, ...info, checksums }
  const text = `${JSON.stringify({ ...fields, checksum: textChecksum(JSON.stringify(fields)) }, null, 2)}\n`
  const bytes = Buffer.byteLength(text)
  if (bytes > maxJsonBytes)
    throw cannotSave(
      folder,
      `${infoName} would have ${formatBytes(bytes)}, more than ${formatBytes(maxJsonBytes)}: put what is big into tensors`,
    )
  return text
}

const cannotSave = (folder: string, message: string): SwitchyardError =>
  new SwitchyardError(`${folder}: the checkpoint cannot be saved: ${message}`)

/** Reads the checkpoint.json of a folder. Throws a FileError that says what is wrong with it. */
export async function readInfo(folder: string): Promise<StoredInfo> {
  const path = join(folder, infoName)
  const advice = goBack(folder)
  const text = await readSmallText(path, maxJsonBytes)
  const value = parseJson(text, message => new FileError(`${path}: this is not JSON, ${message}; ${advice}`))
  const newer = z.object({ format: z.literal('switchyard'), version: z.number().gt(version) }).safeParse(value)
  if (newer.success)
    throw new FileError(
      `${path}: it has version ${newer.data.version} of the format, and this Switchyard knows ${version}: update switchyard`,
    )
  const parsed = fileSchema.safeParse(value)
  if (!parsed.success)
    throw new FileError(`${path}: this is not what Switchyard writes; ${advice}\n${z.prettifyError(parsed.error)}`)
  const { format: _format, version: stored, checksums, checksum: expected, ...info } = parsed.data
  if (stored > 1) {
    const { checksum: _checksum, ...fields } = value as { [key: string]: Json }
    if (expected === undefined || checksums === undefined || textChecksum(JSON.stringify(fields)) !== expected)
      throw new FileError(`${path}: the file is damaged or was edited: it does not match its checksum; ${advice}`)
  }
  return { info, checksums }
}

/** The end of an error message for a damaged checkpoint. */
export const goBack = (folder: string): string =>
  `if the run has an older checkpoint, remove ${folder} to go on from that`
