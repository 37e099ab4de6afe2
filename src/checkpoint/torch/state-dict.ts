import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { sizeOf } from '../../base/host-tensor.js'
import { byteLength, nameProblem, quote } from '../format.js'
import type { TensorInfo } from '../format.js'
import { findStateDict } from './find-state-dict.js'
import { PickleCall, PickleGlobal, PickleReference, unpickle } from './pickle.js'
import type { PickleValue } from './pickle.js'

const rebuildTensor = 'torch._utils._rebuild_tensor_v2'
const rebuildParameter = 'torch._utils._rebuild_parameter'

const storages: ReadonlyMap<string, DType> = new Map([
  ['torch.FloatStorage', 'float32'],
  ['torch.HalfStorage', 'float16'],
  ['torch.BFloat16Storage', 'bfloat16'],
  ['torch.LongStorage', 'int64'],
  ['torch.IntStorage', 'int32'],
  ['torch.CharStorage', 'int8'],
  ['torch.ByteStorage', 'uint8'],
  ['torch.BoolStorage', 'bool'],
])
/** A storage of float64, which is read as float32. */
const float64Storage = 'torch.DoubleStorage'
/** Storages of dtypes that Switchyard has no arrays of, and the dtype to convert each to. */
const instead: ReadonlyMap<string, string> = new Map([
  ['torch.ShortStorage', 'int32'],
  ['torch.ComplexFloatStorage', 'two float32 tensors'],
  ['torch.ComplexDoubleStorage', 'two float32 tensors'],
])
/**
 * Classes of settings and counters that training programs store beside a state_dict. Their objects are not made: they
 * are records of a name and arguments, and are not read.
 */
const besideTensors: readonly string[] = [
  'argparse.Namespace',
  'collections.defaultdict',
  'collections.Counter',
  'pathlib.PosixPath',
  'pathlib.WindowsPath',
  'numpy.dtype',
  'numpy.core.multiarray.scalar',
  'numpy._core.multiarray.scalar',
  '_codecs.encode',
  '__builtin__.set',
  '__builtin__.list',
  '__builtin__.dict',
  '__builtin__.int',
  '__builtin__.float',
  'torch.Size',
  'torch.device',
  'torch.float32',
  'torch.float16',
  'torch.bfloat16',
  'pytorch_lightning.utilities.parsing.AttributeDict',
  'lightning.pytorch.utilities.parsing.AttributeDict',
  'lightning_fabric.utilities.data.AttributeDict',
  'lightning.fabric.utilities.data.AttributeDict',
]
const allowed: ReadonlySet<string> = new Set([
  ...besideTensors,
  rebuildTensor,
  rebuildParameter,
  ...storages.keys(),
  float64Storage,
  ...instead.keys(),
])

const maxRank = 64

/**
 * A tensor as torch keeps it: a view of a storage, which other tensors may share. Offset and strides count elements.
 */
export interface StridedTensor extends TensorInfo {
  /** The entry of the archive that holds the storage, below `data/`. */
  readonly key: string
  readonly storageLength: number
  readonly offset: number
  readonly strides: readonly number[]
  /** Whether the storage holds float64, which is read as float32. */
  readonly isFloat64: boolean
}

/** The tensors of a state_dict, and what a person should know of the file. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, StridedTensor>
  readonly notices: readonly string[]
}

/**
 * Reads the pickle of a `torch.save(model.state_dict())`, or of a dictionary with a state_dict in it: the dtype, shape
 * and place of every tensor. Throws unless each tensor is inside its storage.
 */
export function readStateDict(path: string, pickle: Uint8Array): StateDict {
  const value = unpickle(path, pickle, allowed)
  if (!(value instanceof Map))
    throw new FileError(`${path}: it holds ${describe(value)}, not a dictionary of tensors: save model.state_dict()`)
  const { entries, notices } = findStateDict(value, isTensor)
  const tensors = new Map<string, StridedTensor>()
  for (const [key, item] of entries) {
    const name = String(key)
    const wrong = (message: string): FileError => new FileError(`${path}: tensor ${quote(name)}: ${message}`)
    const problem = typeof key === 'string' ? nameProblem(key) : 'its name is a number'
    if (problem !== undefined) throw wrong(problem)
    tensors.set(name, readTensor(name, item, wrong))
  }
  return { tensors, notices }
}

const isTensor = (value: PickleValue): value is PickleCall =>
  value instanceof PickleCall && (value.callee === rebuildTensor || value.callee === rebuildParameter)

function readTensor(name: string, value: PickleValue, wrong: (message: string) => FileError): StridedTensor {
  const broken = (message: string): FileError => wrong(`${message}: the file is broken or malicious`)
  const inner = value instanceof PickleCall && value.callee === rebuildParameter ? value.args[0] : value
  if (!(inner instanceof PickleCall) || inner.callee !== rebuildTensor) {
    throw wrong(
      `it is ${describe(inner)}, not a tensor: this may be a training checkpoint; save model.state_dict() alone`,
    )
  }
  const [reference, offset, shape, strides, , , metadata = null] = inner.args
  if (!(reference instanceof PickleReference)) throw broken('it has no storage')
  if (metadata !== null && !(metadata instanceof Map && metadata.size === 0)) {
    throw wrong('it is a conjugated or negated view: save it again after resolve_conj() and resolve_neg()')
  }
  if (
    !isSizes(shape) ||
    !isSizes(strides) ||
    !isSize(offset) ||
    shape.length !== strides.length ||
    shape.length > maxRank
  ) {
    throw broken('its offset, shape and strides are not those of a tensor')
  }
  const { dtype, key, length, isFloat64 } = readStorage(reference, wrong, broken)
  if (byteLength(dtype, shape) === undefined || byteLength('int64', [length]) === undefined)
    throw broken(`the shape [${shape}] overflows`)
  const elements = sizeOf(shape)
  const end = elements === 0 ? 0 : offset + shape.reduce((last, d, i) => last + (d - 1) * strides[i], 0) + 1
  if (!(end <= length)) {
    throw broken(
      `${dtype}[${shape}] with strides [${strides}] reaches to element ${formatCount(end)} of a storage that has ${formatCount(length)}`,
    )
  }
  // An expanded view repeats elements, so a small file could demand any amount of memory.
  if (elements > length)
    throw wrong(
      `it is an expanded view of ${formatCount(length)} elements as ${formatCount(elements)}: save it again after contiguous()`,
    )
  return { name, dtype, shape, key, storageLength: length, offset, strides, isFloat64 }
}

/** Reads a storage's reference: ('storage', type, key, device, number of elements). */
function readStorage(
  { id }: PickleReference,
  wrong: (message: string) => FileError,
  broken: (message: string) => FileError,
): { dtype: DType; key: string; length: number; isFloat64: boolean } {
  const [kind, type, key, , length] = id
  if (
    id.length !== 5 ||
    kind !== 'storage' ||
    !(type instanceof PickleGlobal) ||
    typeof key !== 'string' ||
    !isSize(length)
  )
    throw broken('its storage is not described as torch does')
  const isFloat64 = type.name === float64Storage
  const dtype = isFloat64 ? 'float32' : storages.get(type.name)
  if (dtype !== undefined) return { dtype, key, length, isFloat64 }
  const other = instead.get(type.name)
  throw other === undefined
    ? broken(`${type.name} is no storage`)
    : wrong(`${type.name} is not supported: convert the tensor to ${other} and save it again`)
}

const isSize = (value: PickleValue | undefined): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
const isSizes = (value: PickleValue | undefined): value is readonly number[] =>
  Array.isArray(value) && value.every(isSize)

/** The bytes of a tensor's whole storage. */
export const storageBytes = ({ dtype, storageLength, isFloat64 }: StridedTensor): number =>
  storageLength * (isFloat64 ? 8 : dtypes[dtype].bytes)

function describe(value: PickleValue | undefined): string {
  if (value instanceof Map) return 'a dictionary'
  if (value instanceof PickleCall) return `what ${quote(value.callee)} makes`
  if (value instanceof PickleReference) return 'a storage'
  if (value instanceof PickleGlobal) return `the name ${quote(value.name)}`
  if (Array.isArray(value)) return 'a list'
  return value === null || value === undefined ? 'nothing' : `a ${typeof value}`
}
