import { allocate, dtypes } from '../../../base/dtypes.js'
import { reader, sizeOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { Lru } from '../../../base/lru.js'
import type { Program } from '../../program/program.js'
import { compileGenerator, MAX_OUTPUTS } from './generator-code.js'
import { loopKey, MAX_LOOPS } from './loop.js'

type GeneratorFunction = (start: number, length: number, ...pointersAndScalars: number[]) => void

/**
 * How many elements a loop makes before they are moved out of its memory: few enough to stay in the processor's cache.
 */
const BLOCK = 4096
/** What an output has of the memory: a block, and room for the last vector's end. */
const OUTPUT_BYTES = 4 * BLOCK + 64
const PAGE = 65536

/** A compiled loop that makes arrays out of scalars and positions. */
export class Generator {
  constructor(
    private readonly fill: GeneratorFunction,
    private readonly memory: WebAssembly.Memory,
    readonly program: Program,
  ) {}

  /** The program's outputs for the values of its inputs, which are scalars. */
  run(scalars: readonly HostTensor[]): HostTensor[] {
    const { outputs } = this.program
    const tensors = outputs.map(({ aval: { dtype, shape } }) => ({
      dtype,
      shape,
      data: allocate(dtype, sizeOf(shape)),
    }))
    const views = tensors.map(({ dtype }, i) => dtypes[dtype].make(this.memory.buffer, i * OUTPUT_BYTES, BLOCK))
    const pointers = views.map(view => view.byteOffset)
    const numbers = scalars.map(({ dtype, data }) => reader(dtype, data)(0))
    const size = tensors[0].data.length
    for (let start = 0; start < size; start += BLOCK) {
      const length = Math.min(BLOCK, size - start)
      this.fill(start, length, ...pointers, ...numbers)
      tensors.forEach(({ data }, i) => move(views[i], data, start, length))
    }
    return tensors
  }
}

const move = (from: HostTensor['data'], to: HostTensor['data'], start: number, length: number): void =>
  (to as Float32Array).set((length < BLOCK ? from.subarray(0, length) : from) as Float32Array, start)

/**
 * Compiles generators. All write into one small WebAssembly memory, a block of elements at a time, from which each
 * block is moved into the results: ordinary arrays, which may be larger than a WebAssembly memory and are freed as any
 * others.
 */
export class Generators {
  private readonly known = new Lru<string, GeneratorFunction>(MAX_LOOPS)
  private memory: WebAssembly.Memory | null = null

  /** The generator of a program. Shapes do not matter to its code. */
  of(program: Program): Generator {
    const pages = Math.ceil((MAX_OUTPUTS * OUTPUT_BYTES) / PAGE)
    const memory = (this.memory ??= new WebAssembly.Memory({ initial: pages, maximum: pages }))
    const key = loopKey(program)
    let fill = this.known.get(key)
    if (!fill) {
      const module = new WebAssembly.Module(compileGenerator(program))
      fill = new WebAssembly.Instance(module, { env: { memory } }).exports.loop as GeneratorFunction
      this.known.set(key, fill)
    }
    return new Generator(fill, memory, program)
  }
}
