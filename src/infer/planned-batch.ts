import { allocate, dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { concatenateHost, hostTensor, sizeOf } from '../base/host-tensor.js'
import { fromHost, hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { KeysAndValues } from '../nn/attention.js'
import type { StageRange } from './compiled-encoder.js'
import type { PartInputs, PartState } from './encode.js'
import type { EncodingPlan, Part } from './encoding-plan.js'
import { paddedInputs, paddedPart } from './padded-inputs.js'
import type { DecodingModel } from './row-memory.js'

/** Makes what the encoder reads of a batch of inputs, part by part. */
export class PlannedBatch {
  private readonly ids: Tensor // [inputs, length]
  /** The biases of each part, unless each layer has its own. */
  private readonly biases = new Map<Part, Tensor[]>()

  constructor(
    private readonly model: DecodingModel,
    private readonly inputs: readonly (readonly number[])[],
    private readonly plan: EncodingPlan,
  ) {
    this.ids = paddedInputs(inputs)
  }

  /** The state of a part before the first stage. It is not read, so its arrays share their memory. */
  blankState({ first, end }: Part): PartState {
    const { config } = this.model
    const [inputs] = this.ids.shape
    const shapeOfX = [inputs, end - first, config.dModel]
    const shape = [inputs, config.numHeads, end - first, config.headDim]
    const memory = new Float32Array(Math.max(sizeOf(shapeOfX), sizeOf(shape)))
    const blank = (dtype: DType, of: readonly number[]): Tensor =>
      fromHost(hostTensor(dtype, of, dtypes[dtype].make(memory.buffer, 0, sizeOf(of))))
    const ofHeads = (): Tensor => blank(config.dtype, shape)
    return { x: blank('float32', shapeOfX), self: { queries: ofHeads(), keys: ofHeads(), values: ofHeads() } }
  }

  /** What stages read of part number `i`. `states`: those of all parts before these stages. */
  async inputsOf(i: number, stages: StageRange, states: readonly PartState[]): Promise<PartInputs> {
    const { plan, model } = this
    const part = plan.parts[i]
    const none = this.blankKeys(0)
    if (plan.parts.length === 1) {
      const { numTables } = model.inputBiases
      const make = (): Tensor[] => Array.from({ length: numTables }, (_, table) => this.makeBiases(table, part))
      return { ids: this.ids, before: none, after: none, biases: this.kept(part, make) }
    }
    const ids = paddedPart(this.inputs, part.first, part.end)
    const isLayer = stages.first > 0 && stages.first <= model.config.numEncoderLayers
    if (!isLayer) {
      // The first and the last stage have no attention. The first takes the least time, so biases are made with it.
      if (stages.first === 0 && model.inputBiases.numTables === 1) this.biasesOf(part, 0)
      return { ids, before: none, after: none, biases: this.blankBiases(part.end - part.first) }
    }
    const keysOf = (parts: readonly PartState[]): KeysAndValues | Promise<KeysAndValues> =>
      parts.length === 0 ? none : joinedKeys(parts.map(({ self }) => self))
    return {
      ids,
      before: await keysOf(states.slice(0, i)),
      after: await keysOf(states.slice(i + 1)),
      biases: this.biasesOf(part, stages.first - 1),
    }
  }

  /** The biases of a part for one layer, in the places of all tables: the layer reads its own. */
  private biasesOf(part: Part, layer: number): Tensor[] {
    const { numTables } = this.model.inputBiases
    const make = (): Tensor[] => new Array<Tensor>(numTables).fill(this.makeBiases(layer % numTables, part))
    return numTables === 1 ? this.kept(part, make) : make()
  }

  private makeBiases(table: number, part: Part): Tensor {
    const { inputs, plan, model } = this
    // The inputs are filled up with copies of the last: see `paddedInputs`.
    const counts = Array.from(
      { length: this.ids.shape[0] },
      (_, row) => inputs[Math.min(row, inputs.length - 1)].length,
    )
    return model.inputBiases.ofBatch(table, counts, plan.length, part, model.hidesKeysFromPadding)
  }

  private kept(part: Part, make: () => Tensor[]): Tensor[] {
    const biases = this.biases.get(part) ?? make()
    this.biases.set(part, biases)
    return biases
  }

  private blankBiases(length: number): Tensor[] {
    const { config, inputBiases } = this.model
    return new Array<Tensor>(inputBiases.numTables).fill(
      zeros('float32', [this.ids.shape[0], config.numHeads, length, length]),
    )
  }

  private blankKeys(length: number): KeysAndValues {
    const { numHeads, headDim, dtype } = this.model.config
    const shape = [this.ids.shape[0], numHeads, length, headDim]
    return { keys: zeros(dtype, shape), values: zeros(dtype, shape) }
  }
}

/** An array of zeros. (A new one costs little: the system gives memory that is 0, and programs do not read this.) */
const zeros = (dtype: DType, shape: readonly number[]): Tensor =>
  fromHost(hostTensor(dtype, shape, allocate(dtype, sizeOf(shape))))

/** The keys and values of parts one after the other. */
export async function joinedKeys(parts: readonly KeysAndValues[]): Promise<KeysAndValues> {
  const join = async (name: 'keys' | 'values'): Promise<Tensor> =>
    fromHost(concatenateHost(await Promise.all(parts.map(part => hostView(part[name]))), 2))
  return { keys: await join('keys'), values: await join('values') }
}
