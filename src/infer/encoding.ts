import { hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { LayerMemory } from './decode.js'
import type { EncodingPlan } from './encoding-plan.js'
import { readChoices } from './expert-choices.js'
import type { ExpertChoices } from './expert-choices.js'
import { joinedKeys, PlannedBatch } from './planned-batch.js'
import type { DecodingModel } from './row-memory.js'

/** Inputs that were encoded together. */
export interface EncodedInputs {
  readonly memory: LayerMemory
  /** The length of each input with its padding. */
  readonly length: number
  /** The experts that the tokens of all inputs met; null: no layer is sparse. */
  experts(): Promise<ExpertChoices | null>
}

/** Requests whose inputs are encoded as one batch, slice by slice. */
export class Encoding<R extends { readonly inputs: readonly number[] }> {
  private readonly slices: AsyncGenerator<void, EncodedInputs>
  /** How many slices are done. */
  private done = 0

  constructor(
    model: DecodingModel,
    readonly requests: readonly R[],
    private readonly plan: EncodingPlan,
  ) {
    const inputs = requests.map(request => request.inputs)
    this.slices = encodeInSlices(model, inputs, plan)
  }

  /** Computes the next slice. Returns the result after the last one, else null. */
  async next(): Promise<EncodedInputs | null> {
    const slice = await this.slices.next()
    this.done++
    return slice.done ? slice.value : null
  }

  /** The request that a token of the next slice belongs to, of tokens numbered row by row. */
  requestOf(token: number): R {
    const { requests, plan, done } = this
    const { first, end } = plan.parts[done % plan.parts.length]
    // The inputs are filled up with copies of the last: see `paddedInputs`.
    return requests[Math.min(Math.floor(token / (end - first)), requests.length - 1)]
  }
}

/** Encodes inputs as one batch, slice by slice. Yields between two slices, when the first one is computed. */
async function* encodeInSlices(
  model: DecodingModel,
  inputs: readonly (readonly number[])[],
  plan: EncodingPlan,
): AsyncGenerator<void, EncodedInputs> {
  const { encoder, numExperts } = model.compiled
  const batch = new PlannedBatch(model, inputs, plan)
  let states = plan.parts.map(part => batch.blankState(part))
  let memory: LayerMemory = []
  /** For each sparse layer, the experts that the tokens of each part met. */
  const choices: Tensor[][] = []
  for (const stages of plan.ranges) {
    const outputs: ReturnType<typeof encoder.run>[] = []
    for (const i of plan.parts.keys()) {
      if (stages.first > 0 || i > 0) yield
      const output = encoder.run(model.params, await batch.inputsOf(i, stages, states), states[i], stages)
      await hostView(output.memory[0]?.keys ?? output.state.x)
      outputs.push(output)
    }
    states = outputs.map(({ state }) => state)
    memory = await joinedMemory(outputs.map(output => output.memory))
    choices.push(...outputs[0].experts.map((_, layer) => outputs.map(({ experts }) => experts[layer])))
  }
  return { memory, length: plan.length, experts: () => readChoices(choices, numExperts) }
}

/** The memory of whole inputs, from that of their parts. */
async function joinedMemory(parts: readonly LayerMemory[]): Promise<LayerMemory> {
  return parts.length === 1
    ? parts[0]
    : Promise.all(parts[0].map((_, layer) => joinedKeys(parts.map(memory => memory[layer]))))
}
