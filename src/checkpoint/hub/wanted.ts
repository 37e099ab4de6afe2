import { besideVocabulary, vocabularyFiles } from '../../text/files.js'
import { readIndex } from '../index-file.js'

// The files of a model that are downloaded, besides the weights (see ../index-file.ts). No other files are downloaded.

/** The required file, besides the weights. */
export const configFile = 'config.json'

/** Files that are fetched if the model has them. */
export const optionalFiles: readonly string[] = ['generation_config.json', ...vocabularyFiles, ...besideVocabulary]

/** The names of the shards that an index lists, each once. */
export const shardsOf = async (index: string): Promise<string[]> => [...new Set((await readIndex(index)).values())]
