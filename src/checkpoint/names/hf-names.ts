import { FileError } from '../../base/errors.js'
import { listNames, quote, viewOf } from '../format.js'
import type { CheckpointReader, TensorInfo } from '../format.js'

/** A prefix, and the name that transformers gives a tensor of T5's encoder, decoder, embeddings or head for text. */
const prefixed =
  /^(.*\.)?((?:encoder|decoder)\.(?:block\.\d+\..+|embed_tokens\.weight|final_layer_norm\.weight)|shared\.weight|lm_head\.weight)$/s

/** What wrappers of torch put into names: torch.compile, FSDP, and checkpoints of activations. */
const wrappers = /(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\./g

/** Whether a name, without any prefix, is one of T5's. */
export const isT5Name = (name: string): boolean => {
  const match = prefixed.exec(name)
  return match !== null && match[1] === undefined
}

/** A tensor's name without what is before T5's own name; the name itself if it does not end with one. */
export const t5NameOf = (name: string): string => prefixed.exec(name)?.[2] ?? name

/**
 * A checkpoint under T5's own names. Whatever is before T5's names is left out: `model.`, `module.model.`, and also
 * where only some tensors have it (`transformer.` beside a head); and what wrappers of torch put into them. Other names
 * stay. Throws a FileError if two tensors get one name, as in a file of two models.
 */
export function withoutPrefixes(reader: CheckpointReader): CheckpointReader {
  const infos = reader.list()
  const stored = new Map<string, { readonly name: string; readonly prefix: string }>()
  const renamed = infos.map((info): TensorInfo => {
    const [, prefix = '', name = info.name] = prefixed.exec(info.name.replace(wrappers, '')) ?? []
    const other = stored.get(name)
    if (other !== undefined)
      throw new FileError(
        `${reader.path}: the tensors of two models are here, with names that begin with ${listNames([other.prefix, prefix])}: keep those of one model (both have ${quote(name)})`,
      )
    stored.set(name, { name: info.name, prefix })
    return { ...info, name }
  })
  if (renamed.every(({ name }, i) => name === infos[i].name)) return reader
  const storedName = (name: string): string => stored.get(name)?.name ?? name
  return viewOf(reader, {
    list: () => renamed,
    read: name => reader.read(storedName(name)),
    locate: reader.locate && (name => reader.locate!(storedName(name))),
    locateRemote: reader.locateRemote && (name => reader.locateRemote!(storedName(name))),
  })
}
