/** `switchyard-ml/engine`: arrays, transformations of functions, backends. Runs in Node and in browsers. */

// Arrays, and functions on them
export { Tensor } from './engine/api/tensor.js'
export type { TensorLike, Index, IndexedUpdate } from './engine/api/tensor.js'
export type { TensorMethods } from './engine/api/tensor-methods.js'
export * as np from './engine/api/np.js'
export * as lax from './engine/api/lax.js'
export * as random from './engine/api/random.js'
export * as nn from './nn/functions.js'

// Transformations of functions
export { assertMaxTraces, jit } from './engine/api/jit.js'
export type { JitOptions } from './engine/api/jit.js'
export { specialize } from './engine/api/specialize.js'
export type { ExampleTypes, SpecializeOptions, Specialized } from './engine/api/specialize.js'
export { grad, jvp, linearize, makeProgram, valueAndGrad, vjp } from './engine/api/transforms.js'
export type { HasAux } from './engine/api/has-aux.js'
export type { GradOptions, Gradient, Which } from './engine/api/transforms.js'
export type { Atom, Equation, Lit, Program, Var } from './engine/program/program.js'
export { hessian, jacobian } from './engine/api/jacobian.js'
export type { Jacobian } from './engine/api/jacobian.js'
export { vmap } from './engine/api/vmap.js'
export type { AxisTree } from './engine/api/vmap.js'
export { remat } from './engine/api/remat.js'
export { composite, customJvp, customVjp } from './engine/api/composite.js'
export type { CompositeOptions, Vjp } from './engine/api/composite.js'
export { TensorType, evalShape } from './engine/api/eval-shape.js'
export type { TypesOf } from './engine/api/eval-shape.js'
export * as tree from './engine/api/tree.js'
export type { Tree, TreeStructure } from './engine/api/tree.js'
export { debugNaNs } from './engine/api/debug.js'
export type { TensorTree } from './engine/api/tracing.js'

// Several devices
export { Mesh, NamedSharding, P, PartitionSpec } from './engine/program/sharding.js'
export type { MeshAxis, SpecEntry } from './engine/program/sharding.js'
export { devicePut, withShardingConstraint } from './engine/api/mesh.js'
export type { PartialShardingTree, ShardingTree } from './engine/api/mesh.js'
export { shardMap } from './engine/api/shard-map.js'
export type { ShardMapOptions, SpecTree } from './engine/api/shard-map.js'
export type { PrefixTree } from './engine/api/prefix-tree.js'

// Backends
export { setBackend } from './engine/api/engine.js'
export { joinProcesses, openBackend } from './engine/api/open-backend.js'
export type { BackendName } from './engine/api/open-backend.js'
export type { XlaOptions } from './engine/compile/xla/options.js'
export type {
  ArrayShard,
  Backend,
  Buffer,
  Compilation,
  CompiledWithWeights,
  Executable,
  ExecutableStats,
  FewRows,
  Partition,
  ProgramsAtSizes,
  ReadPart,
  SizedProgram,
  WithWeightsOptions,
} from './engine/compile/backend.js'
export type { Communicator, Group, Reduction } from './engine/compile/processes/communicator.js'
export { OnnxBackend } from './engine/compile/onnx/backend.js'
export type { Session, SessionFactory, SessionOptions } from './engine/compile/onnx/session.js'
export type { GraphInfo, InputPart, Weight } from './engine/compile/onnx/proto.js'
export { referenceBackend } from './engine/compile/reference/backend.js'

// Errors and types
export { ConfigError, FileError, ShapeError, SwitchyardError } from './base/errors.js'
export type { DType, TypedArray } from './base/dtypes.js'
export type { Aval } from './engine/program/aval.js'
export type { PrimitiveName } from './engine/program/primitives.js'
export type { PrimitiveParams } from './engine/program/program.js'
export type { HostTensor } from './base/host-tensor.js'
export type { FileRange, FileTensor, StoredTensor } from './base/stored-tensor.js'
