import { Lru } from '../../base/lru.js'
import { cachedPromise } from '../../base/promise-cache.js'
import type { Program } from '../program/program.js'
import type { Executable, Partition } from './backend.js'
import { partitionKey } from './partition.js'

/** Compiles a program: see `Backend.compile`. */
type Compile = (program: Program, donated: readonly boolean[], partition?: Partition) => Promise<Executable>

/** Compiled programs. A program that equals an earlier one is not compiled again. */
export class ProgramCache {
  /**
   * The keys of programs in `executables`, for each mask of donated inputs and partition. They are kept because writing
   * a large program as text takes long.
   */
  private readonly keys = new WeakMap<Program, Map<string, string>>()
  /** Executables by the text of their program, preceded by the mask of donated inputs and the partition. */
  private readonly executables: Lru<string, Promise<Executable>>

  /** `capacity`: how many programs are kept. `dropped` is called with the least recently used one, to release it. */
  constructor(
    capacity: number,
    private readonly compile: Compile,
    dropped: (executable: Promise<Executable>) => void,
  ) {
    this.executables = new Lru(capacity, dropped)
  }

  /** How many programs are compiled now. */
  get size(): number {
    return this.executables.size
  }

  /** The executable of a program that is run again and again. */
  get(program: Program, donated: readonly boolean[] = [], partition: Partition | null = null): Promise<Executable> {
    const mask = donated.map(Number).join('') + (partition ? ` ${partitionKey(partition)}` : '')
    let versions = this.keys.get(program)
    if (!versions) this.keys.set(program, (versions = new Map()))
    let key = versions.get(mask)
    if (key === undefined) versions.set(mask, (key = `${mask} ${program}`))
    return cachedPromise(this.executables, key, () => this.compile(program, donated, partition ?? undefined))
  }

  /** The executable of a program that was made for one run: its key is not kept. */
  getForOneRun(program: Program): Promise<Executable> {
    return cachedPromise(this.executables, program.toString(), () => this.compile(program, []))
  }
}
