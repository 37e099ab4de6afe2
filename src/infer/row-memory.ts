import { hostTensor } from '../base/host-tensor.js'
import { fromHost, hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { ModelConfig } from '../model/config.js'
import { meaningOf } from '../model/meaning.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { HIDDEN_BIAS } from '../nn/attention.js'
import { compileDecoding } from './compiled.js'
import type { CompiledDecoding } from './compiled.js'
import type { Notices } from './compiled-encoder.js'
import type { DecoderMemory, LayerMemory, MemorySizes } from './decode.js'
import { readChoices } from './expert-choices.js'
import type { ExpertChoices } from './expert-choices.js'
import { InputBiases } from './input-biases.js'
import { RowScores } from './row-scores.js'
import { bucket } from './rows.js'
import { StepInputMaker } from './step-inputs.js'

/** A compiled model with its parameters. */
export interface DecodingModel {
  readonly config: ModelConfig
  /** See `Meaning.hidesKeysFromPadding`. */
  readonly hidesKeysFromPadding: boolean
  readonly compiled: CompiledDecoding
  readonly params: ModelParams
  readonly inputBiases: InputBiases
  readonly stepInputs: StepInputMaker
}

/** Compiles a model. Its parameters are not read after this but by the compiled functions. */
export async function decodingModel(
  params: ModelParams,
  options: ForwardOptions,
  notices: Notices = {},
): Promise<DecodingModel> {
  const compiled = compileDecoding(params, options, notices)
  const { encoder, decoder } = compiled.distances(params)
  return {
    config: options.config,
    hidesKeysFromPadding: meaningOf(options).hidesKeysFromPadding,
    compiled,
    params,
    inputBiases: await InputBiases.from(encoder),
    stepInputs: await StepInputMaker.from(decoder),
  }
}

/** What one step gives. */
export interface Advanced {
  readonly scores: RowScores
  /** The experts that the token of each row met; null: no layer is sparse. */
  readonly experts: ExpertChoices | null
}

/** The decoder's memory of a number of rows, with the operations on it. Rows are independent of each other. */
export class RowMemory {
  private crossBias: Tensor | null = null

  private constructor(
    private readonly model: DecodingModel,
    readonly sizes: MemorySizes,
    private readonly memory: DecoderMemory,
    /** The number of input tokens of each row; 0 for a free row. */
    private readonly inputLengths: number[],
  ) {}

  static empty(model: DecodingModel, sizes: MemorySizes): RowMemory {
    const { rows, length } = sizes
    const memory = { cross: null, self: model.compiled.empty(rows, length) }
    return new RowMemory(model, sizes, memory, new Array<number>(rows).fill(0))
  }

  /** A memory of other sizes whose first rows are the rows `sources` of this one. This one cannot be used any more. */
  resized(sizes: MemorySizes, sources: readonly number[]): RowMemory {
    const { copy } = this.model.compiled
    const of = ints(Array.from({ length: sizes.rows }, (_, i) => sources[i] ?? 0))
    const staysInPlace = sizes.rows === this.sizes.rows && sources.every((source, i) => source === i)
    const copied = (memory: LayerMemory, size: 'inputLength' | 'length'): LayerMemory =>
      staysInPlace && sizes[size] === this.sizes[size] ? memory : copy(memory, of, sizes[size])
    const { cross, self } = this.memory
    const memory = { cross: cross && copied(cross, 'inputLength'), self: copied(self, 'length') }
    const inputLengths = Array.from({ length: sizes.rows }, (_, i) =>
      i < sources.length ? this.inputLengths[sources[i]] : 0,
    )
    return new RowMemory(this.model, sizes, memory, inputLengths)
  }

  /**
   * Writes encoded inputs into rows: `row` gets the input of index `input` in the batch that was encoded. The first
   * inputs become the memory themselves if they are all of its rows.
   */
  write(
    encoded: LayerMemory,
    rows: readonly { readonly row: number; readonly input: number; readonly inputLength: number }[],
  ): void {
    const { compiled } = this.model
    if (this.memory.cross === null && this.isFilledBy(encoded, rows)) this.memory.cross = encoded
    else
      this.memory.cross = compiled.write(
        this.cross,
        encoded,
        ints(rows.map(({ input }) => input)),
        ints(rows.map(({ row }) => row)),
      )
    for (const { row, inputLength } of rows) this.inputLengths[row] = inputLength
    this.crossBias = null
  }

  /** Whether encoded inputs have the sizes of the memory, and each of its rows gets the input of the same index. */
  private isFilledBy(encoded: LayerMemory, rows: readonly { readonly row: number; readonly input: number }[]): boolean {
    const [inputs, , length] = encoded[0].keys.shape
    const { sizes } = this
    return (
      inputs === sizes.rows &&
      length === sizes.inputLength &&
      rows.length === sizes.rows &&
      rows.every(({ row, input }) => row === input)
    )
  }

  /**
   * Copies self-attention keys and values between rows, for beam search: `parents` maps each row that changes to the
   * row that it continues. Rows that are not in the map stay as they are.
   */
  follow(parents: ReadonlyMap<number, number>): void {
    const { copy, write } = this.model.compiled
    const rows = [...parents.keys()]
    // Further rows are copied to themselves, up to a power of two: each number of rows is compiled once.
    for (let row = 0; rows.length < bucket(parents.size); row++) if (!parents.has(row)) rows.push(row)
    const followed = copy(this.memory.self, ints(rows.map(row => parents.get(row) ?? row)), this.sizes.length)
    this.memory.self = write(this.memory.self, followed, ints(rows.map((_, i) => i)), ints(rows))
  }

  /**
   * Sets the keys and values of rows to 0. A row that held NaN must be cleared before it is used again: attention
   * multiplies hidden positions by 0, and 0 times NaN is NaN.
   */
  clear(rows: readonly number[]): void {
    const { empty, write } = this.model.compiled
    const { inputLength, length } = this.sizes
    const [sources, targets] = [ints(rows.map(() => 0)), ints(rows)]
    this.memory.cross = write(this.cross, empty(1, inputLength), sources, targets)
    this.memory.self = write(this.memory.self, empty(1, length), sources, targets)
  }

  /**
   * Decodes one token of each row: `tokens` (`NO_TOKEN` for a free row) at the positions `steps` of their rows. The
   * logits of the rows `asked` are read from the runtime.
   */
  async advance(tokens: readonly number[], steps: readonly number[], asked: readonly number[] = []): Promise<Advanced> {
    const { compiled, params, stepInputs } = this.model
    this.crossBias ??= this.hidePadding()
    const { best, logits, experts, self } = compiled.advance(
      params,
      { cross: this.cross, crossBias: this.crossBias },
      stepInputs.make(steps, this.sizes.length),
      this.memory.self,
      ints(tokens),
      ints(filledUp(asked)),
    )
    this.memory.self = self
    const [ids, scores, read, choices] = await Promise.all([
      hostView(best.ids),
      hostView(best.scores),
      hostView(logits),
      readChoices(
        experts.map(array => [array]),
        compiled.numExperts,
      ),
    ])
    return {
      scores: new RowScores(
        { count: ids.shape[1], ids: ids.data as Int32Array, scores: scores.data as Float32Array },
        read.data as Float32Array,
        asked,
        read.shape[1],
      ),
      experts: choices,
    }
  }

  /** The keys and values of inputs. */
  private get cross(): LayerMemory {
    const { rows, inputLength } = this.sizes
    return (this.memory.cross ??= this.model.compiled.empty(rows, inputLength))
  }

  private hidePadding(): Tensor {
    const { rows, inputLength } = this.sizes
    const bias = new Float32Array(rows * inputLength).fill(HIDDEN_BIAS)
    this.inputLengths.forEach((length, row) => bias.fill(0, row * inputLength, row * inputLength + length))
    return fromHost(hostTensor('float32', [rows, 1, 1, inputLength], bias))
  }
}

/**
 * A list of rows filled up with copies of the first to a power of two, since each number of rows is compiled once. An
 * empty list stays empty.
 */
const filledUp = (rows: readonly number[]): readonly number[] =>
  rows.length === 0 ? rows : Array.from({ length: bucket(rows.length) }, (_, i) => rows[i] ?? rows[0])

const ints = (values: readonly number[]): Tensor =>
  fromHost(hostTensor('int32', [values.length], Int32Array.from(values)))
