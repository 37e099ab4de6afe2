import { ConfigError } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import type { Fields } from '../preprocessor.js'

/** Where a task's examples come from. A plain value: nothing is read before `open`. */
export interface Source {
  /** Names the source in messages. */
  readonly name: string
  /** The names of its splits. Null if it is one list of examples, which the task splits itself. */
  readonly splits: readonly string[] | null
  /**
   * Opens a split, or the one list of a source without splits. Throws a ConfigError for a split that the source does
   * not have, and a FileError (file, line, what to do) for files that are missing or wrong.
   */
  open(split?: string): Promise<SourceDataset>
}

/** The examples of a source, with random access. */
export interface SourceDataset extends Dataset<Fields> {
  /**
   * What a user should know about how the data is read, such as that a compressed file was unpacked. One sentence each.
   */
  readonly notes: readonly string[]
  /** A hash of the files' whole content. Left out by sources that are no files. */
  readonly digest?: string
  /** Closes the files. `get` must not be called afterwards. */
  close(): void
}

/** Throws a ConfigError unless a source has the split. */
export function checkSplit(source: Pick<Source, 'name' | 'splits'>, split: string | undefined): void {
  const { name, splits } = source
  if (splits === null && split !== undefined)
    throw new ConfigError(`the source ${name} has no splits of its own, and "${split}" was asked for`)
  if (splits !== null && (split === undefined || !splits.includes(split)))
    throw new ConfigError(`the source ${name} has the splits ${splits.join(', ')}, not "${split ?? ''}"`)
}
