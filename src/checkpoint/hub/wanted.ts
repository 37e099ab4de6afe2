import { vocabularyFiles } from '../../text/files.js'
import { readIndex } from '../index-file.js'

// What our readers use of a model's folder, beside the weights (../index-file.ts). Nothing else is ever fetched.

/** What a model cannot be opened without, apart from its weights. */
export const configFile = 'config.json'

/** What is used if the model has it. */
export const optionalFiles: readonly string[] = ['generation_config.json', ...vocabularyFiles]

/** The names of the shards that an index lists, each once. */
export const shardsOf = async (index: string): Promise<string[]> => [...new Set((await readIndex(index)).values())]
