import type { Abi } from './abi.js'

/** The binary interface of MPICH, which Intel MPI, MVAPICH and Cray MPICH share. From its `mpi.h`. */
export const mpichAbi: Abi = {
  handle: 'int',
  threadFunneled: 1,
  handles: () => ({
    COMM_WORLD: 0x44000000,
    ERRORS_RETURN: 0x54000001,
    BYTE: 0x4c00010d,
    FLOAT: 0x4c00040a,
    INT8_T: 0x4c000137,
    UINT8_T: 0x4c00013b,
    UINT16_T: 0x4c00023c,
    INT32_T: 0x4c000439,
    UINT32_T: 0x4c00043d,
    INT64_T: 0x4c00083a,
    MAX: 0x58000001,
    SUM: 0x58000003,
  }),
}
