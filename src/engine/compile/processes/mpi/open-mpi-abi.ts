import type { Abi } from './abi.js'

/** The binary interface of Open MPI 4 and 5: a handle is the address of a variable. From its `mpi.h`. */
export const openMpiAbi: Abi = {
  handle: 'intptr_t',
  threadFunneled: 1,
  handles: addressOf => ({
    COMM_WORLD: addressOf('ompi_mpi_comm_world'),
    ERRORS_RETURN: addressOf('ompi_mpi_errors_return'),
    BYTE: addressOf('ompi_mpi_byte'),
    FLOAT: addressOf('ompi_mpi_float'),
    INT8_T: addressOf('ompi_mpi_int8_t'),
    UINT8_T: addressOf('ompi_mpi_uint8_t'),
    UINT16_T: addressOf('ompi_mpi_uint16_t'),
    INT32_T: addressOf('ompi_mpi_int32_t'),
    UINT32_T: addressOf('ompi_mpi_uint32_t'),
    INT64_T: addressOf('ompi_mpi_int64_t'),
    MAX: addressOf('ompi_mpi_op_max'),
    SUM: addressOf('ompi_mpi_op_sum'),
  }),
}
