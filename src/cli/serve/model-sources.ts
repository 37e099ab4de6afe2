import { ConfigError } from '../../base/errors.js'
import { exists } from '../../checkpoint/atomic.js'
import { folderName } from '../../open/model-codec.js'
import type { ModelSource } from '../../serve/models/model-source.js'

/** How the models of a command are opened. */
export type SourceOptions = Pick<ModelSource, 'revision' | 'bits' | 'checkpoint' | 'expertsMemory' | 'pins'>

/**
 * The models that arguments name, each `MODEL` or `NAME=MODEL`. Their folders are looked for when they are loaded, so
 * that a missing one does not keep the others from being served. Throws a ConfigError if two have the same name.
 */
export async function namedModels(texts: readonly string[], options: SourceOptions): Promise<ModelSource[]> {
  const sources: ModelSource[] = []
  for (const text of texts) {
    const source = await namedModel(text, options)
    const other = sources.find(({ name }) => name === source.name)
    if (other)
      throw new ConfigError(
        `${other.path} and ${source.path} have the same name, ${source.name}: give one of them another with NAME=MODEL`,
      )
    sources.push(source)
  }
  return sources
}

async function namedModel(text: string, options: SourceOptions): Promise<ModelSource> {
  // A path may hold =, too.
  const at = (await exists(text)) ? -1 : text.indexOf('=')
  const [given, model] = at < 0 ? [undefined, text] : [text.slice(0, at), text.slice(at + 1)]
  if (given?.trim() === '') throw new ConfigError(`${text}: there is no name before the =`)
  return { ...options, name: given ?? ((await exists(model)) ? folderName(model) : model), path: model }
}
