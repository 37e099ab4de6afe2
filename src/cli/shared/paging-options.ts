import type { Command } from 'commander'
import { byteSize } from './byte-size.js'

/** How a model's experts are kept in memory. */
export interface PagingOptions {
  /** The most bytes of experts in memory. Default: all of them if they fit, else as many as fit. */
  expertsMemory?: number
  /** A file with the experts that stay in memory. */
  pins?: string
}

/** Adds the options of paged experts to a command. `each` says for whom a memory is: `for each model`. */
export const withPagingOptions = (command: Command, each = ''): Command =>
  command
    .option(
      '--experts-memory <size>',
      `the most memory for a sparse model's experts${each}, such as 4GB or 500MiB: others are read when tokens meet them, and answers stay the same (default: all experts if they fit into memory, else as many as fit; see docs/paging.md)`,
      byteSize,
    )
    .option(
      '--pins <file>',
      'with --experts-memory: experts that stay in memory once they are read, as switchyard experts pin writes them',
    )
