import { FileError } from '../base/errors.js'
import { castHost } from '../base/tensor.js'
import type { HostTensor } from '../base/tensor.js'
import { declareParameters } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { quote } from './format.js'

/** A model's weights under our paths, whatever they are stored in: sizes are known, data is read parameter by parameter. */
export interface Weights {
  readonly path: string
  /** What they are stored as, for people: `huggingface`. */
  readonly container: string
  readonly model: ModelConfig
  readonly router: RouterConfig
  /** In the order of the data flow, each with the dtype in which it is stored. */
  readonly specs: readonly ParameterSpec[]
  read(path: string): Promise<HostTensor>
  close(): Promise<void>
}

/** Every parameter in turn, in its own dtype or in another one. */
export async function* readWeights({ specs, read }: Pick<Weights, 'specs' | 'read'>, dtype?: ParameterSpec['dtype']): AsyncGenerator<[path: string, tensor: HostTensor]> {
  for (const spec of specs) yield [spec.path, castHost(await read(spec.path), dtype ?? spec.dtype)]
}

/** What was found in a container for the parameters that a model should have. */
export interface Mismatch {
  missing: string[]
  surplus: string[]
  misshapen: string[]
}

/** Throws a FileError that lists everything that does not fit the model. */
export function checkComplete(path: string, { missing, surplus, misshapen }: Mismatch): void {
  const problems = [
    ...(missing.length > 0 ? [`missing: ${listed(missing)}`] : []),
    ...(surplus.length > 0 ? [`in no model of this kind: ${listed(surplus)}`] : []),
    ...(misshapen.length > 0 ? [`of a wrong shape: ${listed(misshapen)}`] : []),
  ]
  if (problems.length > 0) throw new FileError(`${path}: the tensors are not those of the model that the configuration describes\n  ${problems.join('\n  ')}`)
}

const listed = (names: readonly string[]): string => `${names.length} (${names.map(quote).join(', ')})`

/** The parameters of a model, with the dtypes in which they are stored. */
export const storedSpecs = (model: ModelConfig, router: RouterConfig, dtypeOf: (spec: ParameterSpec) => ParameterSpec['dtype']): ParameterSpec[] =>
  declareParameters(model, router).map(spec => ({ ...spec, dtype: dtypeOf(spec) }))
