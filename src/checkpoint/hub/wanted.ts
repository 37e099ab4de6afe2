import { FileError } from '../../base/errors.js'
import { besideVocabulary, vocabularyFiles } from '../../text/files.js'
import { readIndex, weightFiles } from '../index-file.js'
import { adapterConfigFile, adapterFiles } from '../names/peft-read.js'
import { modulesFile, readModules, settingsFile, transformerFile } from '../sentence-transformers/modules.js'
import type { ModuleEntry } from '../sentence-transformers/modules.js'

// The files of a model that are downloaded. No other files are downloaded.

/** A folder of a model, and its files that are downloaded. */
export interface WantedFolder {
  /** Empty for the model's own folder, else as in `2_Dense`. */
  readonly folder: string
  readonly required: readonly string[]
  /** Files that are fetched if the model has them. */
  readonly optional: readonly string[]
  /** Files of weights, or indexes of their shards: the first that the model has is required. Empty: none is. */
  readonly weights: readonly string[]
}

/** How a model is stored: as weights, as an adapter of PEFT whose base is elsewhere, or as both. */
export type Storage = 'weights' | 'adapter' | 'both'

/** The files that say how a model is stored. */
export const storageFiles: readonly string[] = [adapterConfigFile, 'config.json', ...weightFiles]

/** How a model is stored, by the names of its files. */
export function storageOf(has: (name: string) => boolean): Storage {
  if (!has(adapterConfigFile)) return 'weights'
  return has('config.json') && weightFiles.some(has) ? 'both' : 'adapter'
}

const modelFiles = {
  required: ['config.json'],
  optional: ['generation_config.json', ...vocabularyFiles, ...besideVocabulary],
  weights: weightFiles,
}

const adapter: WantedFolder = {
  folder: '',
  required: [adapterConfigFile],
  optional: [...vocabularyFiles, ...besideVocabulary],
  weights: adapterFiles,
}

/**
 * The folders of a model: its own, and those of its modules if sentence-transformers saved it. `also`: further optional
 * files of its own folder.
 */
export function wantedFolders(
  modules: readonly ModuleEntry[] | undefined,
  storage: Storage,
  also: readonly string[] = [],
): WantedFolder[] {
  const root = [modulesFile, settingsFile, adapterConfigFile, ...also]
  if (modules !== undefined)
    return [{ folder: '', required: [], optional: root, weights: [] }, ...modules.map(wantedOfModule)]
  if (storage === 'adapter') return [{ ...adapter, optional: [...adapter.optional, ...also] }]
  const model = { folder: '', ...modelFiles, optional: [...modelFiles.optional, ...root] }
  return storage === 'both' ? [model, adapter] : [model]
}

function wantedOfModule({ kind, folder }: ModuleEntry): WantedFolder {
  switch (kind) {
    case 'Transformer':
      return { folder, ...modelFiles, optional: [...modelFiles.optional, transformerFile] }
    case 'Normalize':
      return { folder, required: [], optional: ['config.json'], weights: [] }
    case 'Pooling':
    case 'Dense':
      return { folder, required: ['config.json'], optional: [], weights: kind === 'Dense' ? weightFiles : [] }
  }
}

/** The name of a file of a folder within the model. */
export const nameIn = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`)

/**
 * The modules of a model whose own folder has been fetched. undefined if there are none, or if they cannot be computed
 * here: the model itself may be of use.
 */
export async function modulesOf(snapshot: string): Promise<readonly ModuleEntry[] | undefined> {
  try {
    return await readModules(snapshot)
  } catch (error) {
    if (error instanceof FileError) return undefined
    throw error
  }
}

/** The names of the shards that an index lists, each once. */
export const shardsOf = async (index: string): Promise<string[]> => [...new Set((await readIndex(index)).values())]
