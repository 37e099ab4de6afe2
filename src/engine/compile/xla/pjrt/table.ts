// Written by scripts/pjrt-table.mjs from pjrt_c_api.h 0.81: do not edit.

/** The version of the header that the tables below were made from. */
export const headerVersion = { major: 0, minor: 81 } as const

/** Functions: their place in `PJRT_Api`, `struct_size` of their arguments, and each field's offset and kind. */
// prettier-ignore
export const functions = {
  Error_Destroy: { slot: 40, size: 24, fields: {
    error: [16, 'pointer'],
  } },
  Error_Message: { slot: 48, size: 40, fields: {
    error: [16, 'pointer'], message: [24, 'pointer'], message_size: [32, 'size'],
  } },
  Error_GetCode: { slot: 56, size: 28, fields: {
    error: [16, 'pointer'], code: [24, 'int32'],
  } },
  Plugin_Initialize: { slot: 64, size: 16, fields: {} },
  Plugin_Attributes: { slot: 72, size: 32, fields: {
    attributes: [16, 'pointer'], num_attributes: [24, 'size'],
  } },
  Event_Destroy: { slot: 80, size: 24, fields: {
    event: [16, 'pointer'],
  } },
  Event_IsReady: { slot: 88, size: 25, fields: {
    event: [16, 'pointer'], is_ready: [24, 'bool'],
  } },
  Event_Await: { slot: 104, size: 24, fields: {
    event: [16, 'pointer'],
  } },
  Client_Create: { slot: 120, size: 88, fields: {
    create_options: [16, 'pointer'], num_options: [24, 'size'], kv_get_callback: [32, 'pointer'],
    kv_get_user_arg: [40, 'pointer'], kv_put_callback: [48, 'pointer'], kv_put_user_arg: [56, 'pointer'],
    client: [64, 'pointer'], kv_try_get_callback: [72, 'pointer'], kv_try_get_user_arg: [80, 'pointer'],
  } },
  Client_Destroy: { slot: 128, size: 24, fields: {
    client: [16, 'pointer'],
  } },
  Client_PlatformName: { slot: 136, size: 40, fields: {
    client: [16, 'pointer'], platform_name: [24, 'pointer'], platform_name_size: [32, 'size'],
  } },
  Client_PlatformVersion: { slot: 152, size: 40, fields: {
    client: [16, 'pointer'], platform_version: [24, 'pointer'], platform_version_size: [32, 'size'],
  } },
  Client_AddressableDevices: { slot: 168, size: 40, fields: {
    client: [16, 'pointer'], addressable_devices: [24, 'pointer'], num_addressable_devices: [32, 'size'],
  } },
  Client_Compile: { slot: 200, size: 56, fields: {
    client: [16, 'pointer'], program: [24, 'pointer'], compile_options: [32, 'pointer'],
    compile_options_size: [40, 'size'], executable: [48, 'pointer'],
  } },
  Client_BufferFromHostBuffer: { slot: 216, size: 120, fields: {
    client: [16, 'pointer'], data: [24, 'pointer'], type: [32, 'int32'], dims: [40, 'pointer'],
    num_dims: [48, 'size'], byte_strides: [56, 'pointer'], num_byte_strides: [64, 'size'],
    host_buffer_semantics: [72, 'int32'], device: [80, 'pointer'], memory: [88, 'pointer'],
    device_layout: [96, 'pointer'], done_with_host_buffer: [104, 'pointer'], buffer: [112, 'pointer'],
  } },
  Device_GetDescription: { slot: 272, size: 32, fields: {
    device: [16, 'pointer'], device_description: [24, 'pointer'],
  } },
  Device_MemoryStats: { slot: 312, size: 185, fields: {
    device: [16, 'pointer'], bytes_in_use: [24, 'int64'], peak_bytes_in_use: [32, 'int64'],
    peak_bytes_in_use_is_set: [40, 'bool'], num_allocs: [48, 'int64'], num_allocs_is_set: [56, 'bool'],
    largest_alloc_size: [64, 'int64'], largest_alloc_size_is_set: [72, 'bool'], bytes_limit: [80, 'int64'],
    bytes_limit_is_set: [88, 'bool'], bytes_reserved: [96, 'int64'], bytes_reserved_is_set: [104, 'bool'],
    peak_bytes_reserved: [112, 'int64'], peak_bytes_reserved_is_set: [120, 'bool'],
    bytes_reservable_limit: [128, 'int64'], bytes_reservable_limit_is_set: [136, 'bool'],
    largest_free_block_bytes: [144, 'int64'], largest_free_block_bytes_is_set: [152, 'bool'],
    pool_bytes: [160, 'int64'], pool_bytes_is_set: [168, 'bool'], peak_pool_bytes: [176, 'int64'],
    peak_pool_bytes_is_set: [184, 'bool'],
  } },
  DeviceDescription_Id: { slot: 224, size: 28, fields: {
    device_description: [16, 'pointer'], id: [24, 'int32'],
  } },
  DeviceDescription_Kind: { slot: 248, size: 40, fields: {
    device_description: [16, 'pointer'], device_kind: [24, 'pointer'], device_kind_size: [32, 'size'],
  } },
  Executable_Destroy: { slot: 360, size: 24, fields: {
    executable: [16, 'pointer'],
  } },
  Executable_NumOutputs: { slot: 392, size: 32, fields: {
    executable: [16, 'pointer'], num_outputs: [24, 'size'],
  } },
  Executable_Serialize: { slot: 432, size: 56, fields: {
    executable: [16, 'pointer'], serialized_bytes: [24, 'pointer'], serialized_bytes_size: [32, 'size'],
    serialized_executable: [40, 'pointer'], serialized_executable_deleter: [48, 'pointer'],
  } },
  Executable_DeserializeAndLoad: { slot: 488, size: 64, fields: {
    client: [16, 'pointer'], serialized_executable: [24, 'pointer'], serialized_executable_size: [32, 'size'],
    loaded_executable: [40, 'pointer'], overridden_serialized_compile_options: [48, 'pointer'],
    overridden_serialized_compile_options_size: [56, 'size'],
  } },
  Executable_GetCompiledMemoryStats: { slot: 808, size: 112, fields: {
    executable: [16, 'pointer'], generated_code_size_in_bytes: [24, 'int64'], argument_size_in_bytes: [32, 'int64'],
    output_size_in_bytes: [40, 'int64'], alias_size_in_bytes: [48, 'int64'], temp_size_in_bytes: [56, 'int64'],
    host_generated_code_size_in_bytes: [64, 'int64'], host_argument_size_in_bytes: [72, 'int64'],
    host_output_size_in_bytes: [80, 'int64'], host_alias_size_in_bytes: [88, 'int64'],
    host_temp_size_in_bytes: [96, 'int64'], peak_memory_in_bytes: [104, 'int64'],
  } },
  LoadedExecutable_Destroy: { slot: 440, size: 24, fields: {
    executable: [16, 'pointer'],
  } },
  LoadedExecutable_GetExecutable: { slot: 448, size: 32, fields: {
    loaded_executable: [16, 'pointer'], executable: [24, 'pointer'],
  } },
  LoadedExecutable_AddressableDevices: { slot: 456, size: 40, fields: {
    executable: [16, 'pointer'], addressable_devices: [24, 'pointer'], num_addressable_devices: [32, 'size'],
  } },
  LoadedExecutable_Execute: { slot: 480, size: 80, fields: {
    executable: [16, 'pointer'], options: [24, 'pointer'], argument_lists: [32, 'pointer'],
    num_devices: [40, 'size'], num_args: [48, 'size'], output_lists: [56, 'pointer'],
    device_complete_events: [64, 'pointer'], execute_device: [72, 'pointer'],
  } },
  Buffer_Destroy: { slot: 504, size: 24, fields: {
    buffer: [16, 'pointer'],
  } },
  Buffer_ToHostBuffer: { slot: 600, size: 56, fields: {
    src: [16, 'pointer'], host_layout: [24, 'pointer'], dst: [32, 'pointer'], dst_size: [40, 'size'],
    event: [48, 'pointer'],
  } },
  Buffer_ReadyEvent: { slot: 616, size: 32, fields: {
    buffer: [16, 'pointer'], event: [24, 'pointer'],
  } },
  Buffer_UnsafePointer: { slot: 624, size: 32, fields: {
    buffer: [16, 'pointer'], buffer_pointer: [24, 'pointer'],
  } },
} as const

/** Structs that arguments point to. */
// prettier-ignore
export const structs = {
  NamedValue: { size: 56, fields: {
    name: [16, 'pointer'], name_size: [24, 'size'], type: [32, 'int32'], string_value: [40, 'pointer'],
    int64_value: [40, 'int64'], int64_array_value: [40, 'pointer'], float_value: [40, 'float'],
    bool_value: [40, 'bool'], value_size: [48, 'size'],
  } },
  Program: { size: 48, fields: {
    code: [16, 'pointer'], code_size: [24, 'size'], format: [32, 'pointer'], format_size: [40, 'size'],
  } },
  ExecuteOptions: { size: 112, fields: {
    send_callbacks: [16, 'pointer'], recv_callbacks: [24, 'pointer'], num_send_ops: [32, 'size'],
    num_recv_ops: [40, 'size'], launch_id: [48, 'int32'], non_donatable_input_indices: [56, 'pointer'],
    num_non_donatable_input_indices: [64, 'size'], context: [72, 'pointer'], call_location: [80, 'pointer'],
    num_tasks: [88, 'size'], task_ids: [96, 'pointer'], incarnation_ids: [104, 'pointer'],
  } },
} as const

// prettier-ignore
export const errorCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

// prettier-ignore
export const bufferType = {
  INVALID: 0,
  PRED: 1,
  S8: 2,
  S16: 3,
  S32: 4,
  S64: 5,
  U8: 6,
  U16: 7,
  U32: 8,
  U64: 9,
  F16: 10,
  F32: 11,
  F64: 12,
  BF16: 13,
  C64: 14,
  C128: 15,
  F8E5M2: 16,
  F8E4M3FN: 17,
  F8E4M3B11FNUZ: 18,
  F8E5M2FNUZ: 19,
  F8E4M3FNUZ: 20,
  S4: 21,
  U4: 22,
  TOKEN: 23,
  S2: 24,
  U2: 25,
  F8E4M3: 26,
  F8E3M4: 27,
  F8E8M0FNU: 28,
  F4E2M1FN: 29,
} as const

// prettier-ignore
export const hostBufferSemantics = {
  ImmutableOnlyDuringCall: 0,
  ImmutableUntilTransferCompletes: 1,
  ImmutableZeroCopy: 2,
  MutableZeroCopy: 3,
} as const
