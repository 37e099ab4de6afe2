import type { ModelConfig } from '../../model/config.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import type { Weights } from '../weights.js'
import {
  decoderName,
  embeddingNames,
  embeddingsOf,
  encoderName,
  firstEqualEmbeddings,
  headName,
  sharedName,
} from './hf-embeddings.js'
import type { HfEmbeddings } from './hf-embeddings.js'
import type { PeftAdapter, TokenRows } from './peft-read.js'

/** The names of a model's embeddings and head that transformers ties to a name, itself included. */
function tiedTo({ numDecoderLayers, sharedEmbedding, tiedLogits }: ModelConfig, name: string): readonly string[] {
  const decoder = numDecoderLayers > 0 ? [decoderName, ...(tiedLogits ? [headName] : [])] : []
  const groups = sharedEmbedding ? [[sharedName, encoderName, ...decoder]] : [[sharedName, encoderName], decoder]
  return groups.find(group => group.includes(name)) ?? [name]
}

/**
 * The tables in which the trained vectors of `shared` are used. To transformers 5, every T5 without experts is tied, so
 * that PEFT also replaces the rows of a head of its own.
 */
const rowsOfShared = (model: ModelConfig): readonly string[] =>
  model.numExperts > 0 || model.numDecoderLayers === 0 ? tiedTo(model, sharedName) : embeddingNames

/**
 * The weights and the vectors of single tokens that replace the base's, by each table that they are for. A copy of an
 * embedding stands for all tables that the base ties to it, and the vectors of `shared` are also those of others.
 */
export function tablesOf(
  model: ModelConfig,
  { replaced, copies, rows }: PeftAdapter,
): { replaced: ReadonlyMap<string, TensorInfo>; rows: ReadonlyMap<string, TokenRows> } {
  const allReplaced = new Map<string, TensorInfo>()
  for (const [name, info] of copies) for (const tied of tiedTo(model, name)) allReplaced.set(tied, info)
  for (const [name, info] of replaced) allReplaced.set(name, info)
  const allRows = new Map<string, TokenRows>()
  const shared = rows.get(sharedName)
  if (shared !== undefined) for (const name of rowsOfShared(model)) allRows.set(name, shared)
  for (const [name, own] of rows) allRows.set(name, own)
  return { replaced: allReplaced, rows: allRows }
}

/**
 * The adapted model, the tensors that its embeddings and head are read from, and changed ones that it does not use. A
 * weight that the adapter changes is no longer that of the tensors that the base ties it to.
 */
export async function embeddingsWith(
  base: Weights,
  reader: CheckpointReader,
  touched: ReadonlySet<string>,
): Promise<{ model: ModelConfig; embeddings: HfEmbeddings; unused: string[] }> {
  const names = new Map(reader.list().map(info => [info.name, info.shape]))
  if (!embeddingNames.some(name => touched.has(name)))
    return { model: base.model, embeddings: { encoder: encoderName, decoder: decoderName, head: headName }, unused: [] }
  const firstEqual = await firstEqualEmbeddings(reader)
  const embeddings = embeddingsOf(names, firstEqual)!
  const { encoder, decoder, head } = embeddings
  const model = {
    ...base.model,
    vocabSize: names.get(encoder)![0],
    sharedEmbedding: encoder === decoder,
    tiedLogits: base.model.numDecoderLayers === 0 || head === decoder,
  }
  const used = [encoder, decoder, head]
  const unused = embeddingNames.filter(name => touched.has(name) && !used.includes(firstEqual.get(name) ?? name))
  return { model, embeddings, unused }
}
