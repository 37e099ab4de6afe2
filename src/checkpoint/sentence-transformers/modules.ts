import { join } from 'node:path'
import * as z from 'zod'
import { FileError } from '../../base/errors.js'
import { isFile, isPlainName } from '../files.js'
import { quote } from '../format.js'
import { readSettings } from './settings-file.js'

/** The file that makes a folder one of sentence-transformers: it lists the modules that a text passes through. */
export const modulesFile = 'modules.json'
/** The file beside it with the settings of the whole model. */
export const settingsFile = 'config_sentence_transformers.json'
/** The file in the Transformer's folder with its settings. Old versions name it by the kind of model. */
export const transformerFile = 'sentence_bert_config.json'

/** The kinds of modules that can be computed here. */
const kinds = ['Transformer', 'Pooling', 'Dense', 'Normalize'] as const

export interface ModuleEntry {
  readonly kind: (typeof kinds)[number]
  /** The module's folder within the model's: empty for the same folder, else as in `1_Pooling`. */
  readonly folder: string
}

const modulesSchema = z.array(z.object({ path: z.string(), type: z.string() })).max(100)

/**
 * The modules of a folder in their order: a Transformer, a Pooling, then any number of Dense and Normalize. Without a
 * modules.json it is undefined. Throws a FileError if there are other modules, or if one is outside of the folder.
 */
export async function readModules(folder: string): Promise<readonly ModuleEntry[] | undefined> {
  const path = join(folder, modulesFile)
  if (!(await isFile(path))) return undefined
  const modules = (await readSettings(path, modulesSchema)).map((module): ModuleEntry => {
    const kind = kindOf(module.type)
    if (kind === undefined)
      throw new FileError(
        `${path}: the module ${quote(module.type)} cannot be computed here, only ${kinds.join(', ')} of sentence-transformers`,
      )
    const parts = module.path.replace(/\/$/, '').split('/')
    if (module.path !== '' && !parts.every(isPlainName))
      throw new FileError(
        `${path}: the module ${quote(module.type)} is said to be in ${quote(module.path)}, which is no folder within the model's: the file is broken or malicious`,
      )
    return { kind, folder: module.path === '' ? '' : parts.join('/') }
  })
  const order = modules.map(({ kind }) => kind)
  if (order[0] !== 'Transformer' || order[1] !== 'Pooling' || order.slice(2).some(isBeforeOrPooling))
    throw new FileError(
      `${path}: the modules are ${order.join(', ') || 'none'}: a Transformer and a Pooling were expected, then only Dense and Normalize`,
    )
  return modules
}

const isBeforeOrPooling = (kind: ModuleEntry['kind']): boolean => kind === 'Transformer' || kind === 'Pooling'

/** Classes have moved within the package: `models.Pooling` is now `sentence_transformer.modules.pooling.Pooling`. */
function kindOf(type: string): ModuleEntry['kind'] | undefined {
  const name = /^sentence_transformers\.(?:\w+\.)*(\w+)$/.exec(type)?.[1]
  return kinds.find(kind => kind === name)
}

/**
 * The folder of the Hugging Face model within a folder: that of the Transformer if sentence-transformers saved it, else
 * the folder itself.
 */
export async function transformerFolder(folder: string): Promise<string> {
  const [transformer] = (await readModules(folder)) ?? []
  return transformer === undefined ? folder : join(folder, transformer.folder)
}
