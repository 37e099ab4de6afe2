import type { Abi } from './abi.js'

/**
 * The binary interface that MPI 5.0 specifies (appendix A of the standard), in a library of its own named libmpi_abi:
 * handles are pointers, and the predefined ones are small numbers.
 */
export const standardAbi: Abi = {
  handle: 'intptr_t',
  threadFunneled: 1024,
  handles: () => ({
    COMM_WORLD: 0x101,
    ERRORS_RETURN: 0x143,
    BYTE: 0x247,
    FLOAT: 0x210,
    INT8_T: 0x240,
    UINT8_T: 0x241,
    UINT16_T: 0x249,
    INT32_T: 0x250,
    UINT32_T: 0x251,
    INT64_T: 0x258,
    MAX: 0x23,
    SUM: 0x21,
  }),
}
