import { FileError } from '../../base/errors.js'
import type { Json } from '../json.js'

/** The parsed JSON files of a Hugging Face folder that say what its model is and how it is used. */
export interface HfFiles {
  readonly config: Json
  readonly generationConfig?: Json
  /** The settings of generation_config.json, or of config.json if there is none, as their file writes them. */
  readonly generationTexts?: { readonly [key: string]: string }
  readonly tokenizerConfig?: Json
  /** tokenizer.json. It is needed only if no other file gives the ids of padding and EOS. */
  readonly tokenizer?: Json
}

/** The settings of one file. Keys that the file does not have are undefined. */
export interface Settings {
  /** The name of the file, for messages. */
  readonly file: string
  readonly values: { readonly [key: string]: Json | undefined }
}

/** The settings of a parsed file. Throws a FileError if it is not an object; `path` is the folder's. */
export function settingsOf(file: string, json: Json, path: string): Settings {
  if (!isObject(json)) throw new FileError(`${path}: ${file} is not an object of settings`)
  return { file, values: json }
}

export const isObject = (json: Json | undefined): json is { readonly [key: string]: Json } =>
  typeof json === 'object' && json !== null && !Array.isArray(json)
