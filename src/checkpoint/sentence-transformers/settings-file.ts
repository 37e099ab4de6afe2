import * as z from 'zod'
import { FileError } from '../../base/errors.js'
import { isFile, readSmallText } from '../files.js'

/** The largest file of settings that is read, in bytes. */
const MAX_BYTES = 2 ** 20

/** Reads a JSON file of settings. Throws a FileError that names the file and what is wrong in it. */
export async function readSettings<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> {
  const text = await readSmallText(path, MAX_BYTES)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new FileError(`${path}: this is not JSON, or it is cut off: ${(error as Error).message}`, { cause: error })
  }
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const [{ path: key, message }] = result.error.issues
  throw new FileError(`${path}: ${[...key, message].join(': ')}`)
}

/** As `readSettings`; without the file, the settings that the schema gives an empty object. */
export const readOptionalSettings = async <S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> =>
  (await isFile(path)) ? readSettings(path, schema) : schema.parse({})
