import { FileError } from '../../base/errors.js'
import { castHost } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { transposeMatrix } from '../layout.js'
import { huggingface } from '../sharded.js'
import type { DenseSettings } from './folder.js'

/** The weights of a Dense module, in float32. */
export interface DenseTensors {
  readonly kernel: HostTensor // [in, out]
  readonly bias?: HostTensor // [out]
  /** Projects the input that is added to the output, if their sizes differ. */
  readonly residual?: HostTensor // [in, out]
}

/** Reads the weights of a Dense module. Throws a FileError unless they are those that its settings describe. */
export async function readDenseWeights(settings: DenseSettings): Promise<DenseTensors> {
  const { folder, inFeatures, outFeatures, bias, residual } = settings
  const hasProjection = residual && inFeatures !== outFeatures
  const expected = [
    shaped('linear.weight', [outFeatures, inFeatures]),
    ...(bias ? [shaped('linear.bias', [outFeatures])] : []),
    ...(hasProjection ? [shaped('residual.weight', [outFeatures, inFeatures])] : []),
  ]
  const reader = await huggingface.open(folder)
  try {
    const found = reader.list().map(({ name, shape }) => shaped(name, shape))
    if (found.sort().join() !== [...expected].sort().join())
      throw new FileError(
        `${reader.path}: the tensors are ${found.join(', ') || 'none'}, and config.json beside it describes ${expected.join(', ')}`,
      )
    const read = async (name: string): Promise<HostTensor> => castHost(await reader.read(name), 'float32')
    return {
      kernel: transposeMatrix(await read('linear.weight')),
      ...(bias ? { bias: await read('linear.bias') } : {}),
      ...(hasProjection ? { residual: transposeMatrix(await read('residual.weight')) } : {}),
    }
  } finally {
    await reader.close()
  }
}

const shaped = (name: string, shape: readonly number[]): string => `${name} [${shape.join(', ')}]`
