import protobuf from 'protobufjs/minimal.js'

/** How a program is compiled. */
export interface CompileOptions {
  /** How many devices run the program together, each on its parts of the arrays. Default: 1. */
  readonly partitions?: number
  /** XLA's flags for this program, for example `xla_allow_excess_precision`. */
  readonly flags?: { readonly [flag: string]: boolean | number | string }
}

/** The message `CompileOptionsProto` (xla/pjrt/proto/compile_options.proto). */
export function encodeCompileOptions({ partitions = 1, flags = {} }: CompileOptions): Uint8Array {
  const writer = protobuf.Writer.create()
  // executable_build_options
  writer.uint32((3 << 3) | LENGTH_DELIMITED).fork()
  // device_ordinal: -1 lets XLA choose.
  writer.uint32(1 << 3).int64(-1)
  // num_replicas, num_partitions
  writer.uint32(4 << 3).int64(1)
  writer.uint32(5 << 3).int64(partitions)
  if (partitions > 1) {
    // use_spmd_partitioning, use_shardy_partitioner
    writer.uint32(6 << 3).bool(true)
    writer.uint32(19 << 3).bool(true)
  }
  writer.ldelim()
  // env_option_overrides: a map from a flag's name to its value.
  for (const [flag, value] of Object.entries(flags)) {
    writer.uint32((7 << 3) | LENGTH_DELIMITED).fork()
    writer.uint32((1 << 3) | LENGTH_DELIMITED).string(flag)
    writer.uint32((2 << 3) | LENGTH_DELIMITED).fork()
    if (typeof value === 'string') writer.uint32((1 << 3) | LENGTH_DELIMITED).string(value)
    else if (typeof value === 'boolean') writer.uint32(2 << 3).bool(value)
    else if (Number.isInteger(value)) writer.uint32(3 << 3).int64(value)
    else writer.uint32((4 << 3) | FIXED64).double(value)
    writer.ldelim().ldelim()
  }
  return writer.finish()
}

/** Wire types of protocol buffers. */
const FIXED64 = 1
const LENGTH_DELIMITED = 2
