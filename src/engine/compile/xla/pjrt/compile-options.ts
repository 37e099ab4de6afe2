import protobuf from 'protobufjs/minimal.js'

/** How a program is compiled. */
export interface CompileOptions {
  /** The devices that run the program together, each on its parts of the arrays. */
  readonly deviceIds: readonly number[]
  /** XLA's flags for this program, for example `xla_allow_excess_precision`. */
  readonly flags?: { readonly [flag: string]: boolean | number | string }
}

/** The message `CompileOptionsProto` (xla/pjrt/proto/compile_options.proto). */
export function encodeCompileOptions({ deviceIds, flags = {} }: CompileOptions): Uint8Array {
  const writer = protobuf.Writer.create()
  // executable_build_options
  writer.uint32(message(3)).fork()
  // device_ordinal: -1 lets the assignment below decide.
  writer.uint32(varint(1)).int64(-1)
  // num_replicas, num_partitions
  writer.uint32(varint(4)).int64(1)
  writer.uint32(varint(5)).int64(deviceIds.length)
  if (deviceIds.length > 1) {
    // use_spmd_partitioning, use_shardy_partitioner
    writer.uint32(varint(6)).bool(true)
    writer.uint32(varint(19)).bool(true)
  }
  // device_assignment: replica_count, computation_count, computation_devices with replica_device_ids
  writer.uint32(message(9)).fork()
  writer.uint32(varint(1)).int32(1)
  writer.uint32(varint(2)).int32(deviceIds.length)
  for (const id of deviceIds) {
    writer.uint32(message(3)).fork()
    writer.uint32(varint(1)).int64(id)
    writer.ldelim()
  }
  writer.ldelim()
  writer.ldelim()
  // env_option_overrides: a map from a flag's name to its value.
  for (const [flag, value] of Object.entries(flags)) {
    writer.uint32(message(7)).fork()
    writer.uint32(message(1)).string(flag)
    writer.uint32(message(2)).fork()
    if (typeof value === 'string') writer.uint32(message(1)).string(value)
    else if (typeof value === 'boolean') writer.uint32(varint(2)).bool(value)
    else if (Number.isInteger(value)) writer.uint32(varint(3)).int64(value)
    else writer.uint32(fixed64(4)).double(value)
    writer.ldelim().ldelim()
  }
  return writer.finish()
}

/** Tags of fields in protocol buffers: the field's number and how its value is written. */
const varint = (field: number): number => field << 3
const fixed64 = (field: number): number => (field << 3) | 1
const message = (field: number): number => (field << 3) | 2
