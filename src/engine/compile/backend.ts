import type { HostTensor } from '../../base/tensor.js'
import type { Aval } from '../program/aval.js'
import type { Program } from '../program/program.js'

/** An array where a backend keeps it. */
export interface Buffer {
  readonly aval: Aval
  /** The data on the host. It may be the buffer's own memory: do not write to it. */
  read(): Promise<HostTensor>
}

/** A program made ready to run. */
export interface Executable {
  run(inputs: readonly Buffer[]): Promise<Buffer[]>
}

/** The seam between programs and whatever runs them. */
export interface Backend {
  readonly name: string
  put(tensor: HostTensor): Buffer
  compile(program: Program): Promise<Executable>
}
