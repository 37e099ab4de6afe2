import { FileError } from '../../base/errors.js'
import { besideVocabulary, vocabularyFiles } from '../../text/files.js'
import { readIndex } from '../index-file.js'
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
  /** Whether weights are required, too: see ../index-file.ts. */
  readonly hasWeights: boolean
}

const modelFiles = {
  required: ['config.json'],
  optional: ['generation_config.json', ...vocabularyFiles, ...besideVocabulary],
  hasWeights: true,
}

/** The folders of a model: its own, and those of its modules if sentence-transformers saved it. */
export function wantedFolders(modules: readonly ModuleEntry[] | undefined): WantedFolder[] {
  const root = [modulesFile, settingsFile]
  if (modules === undefined) return [{ folder: '', ...modelFiles, optional: [...modelFiles.optional, ...root] }]
  return [{ folder: '', required: [], optional: root, hasWeights: false }, ...modules.map(wantedOfModule)]
}

function wantedOfModule({ kind, folder }: ModuleEntry): WantedFolder {
  switch (kind) {
    case 'Transformer':
      return { folder, ...modelFiles, optional: [...modelFiles.optional, transformerFile] }
    case 'Normalize':
      return { folder, required: [], optional: ['config.json'], hasWeights: false }
    case 'Pooling':
    case 'Dense':
      return { folder, required: ['config.json'], optional: [], hasWeights: kind === 'Dense' }
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
