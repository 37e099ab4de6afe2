import { HASH_SEED, hashStep, mix32 } from '../../base/hash.js'

/** Token sequences, of which each example has the same number. */
export interface Sequences {
  /** The number of examples. */
  readonly length: number
  /** An example's sequences. They may be views: do not change them. */
  get(index: number): Int32Array[]
  /** The lengths of an example's sequences, without reading their tokens. */
  lengths(index: number): number[]
  /** What another thread needs to read them: `openSequences`. Nothing is copied. */
  readonly shared: SharedSequences
}

/** Sequences as plain data: in shared memory, or in an open file (threads share a process's file descriptors). */
export type SharedSequences = SequencesInMemory | SequencesInFile

interface Ends {
  /** Where each sequence ends, counted in tokens. */
  readonly ends: Float64Array
  /** The number of sequences of an example. */
  readonly each: number
}

export interface SequencesInMemory extends Ends {
  readonly ids: Int32Array
}

export interface SequencesInFile extends Ends {
  readonly handle: number
}

/** Where sequence `index` begins, of sequences that follow each other. */
export const startOf = (ends: Float64Array, index: number): number => (index === 0 ? 0 : ends[index - 1])

/** A 32-bit hash of all sequences. */
export function hashSequences(sequences: Sequences): number {
  let hash = hashStep(HASH_SEED, sequences.length)
  for (const end of sequences.shared.ends) hash = hashStep(hash, end)
  for (let i = 0; i < sequences.length; i++)
    for (const ids of sequences.get(i)) for (const id of ids) hash = hashStep(hash, id)
  return mix32(hash)
}

/** The lengths of the sequences of an example. */
export const lengthsIn = ({ ends, each }: Ends, example: number): number[] =>
  Array.from({ length: each }, (_, s) => ends[example * each + s] - startOf(ends, example * each + s))
