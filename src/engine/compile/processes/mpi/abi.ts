/** What differs between the binary interfaces (ABIs) of MPI libraries: the type of handles, and constants. */

/** A communicator, a datatype, a request, ...: of C's type `Abi.handle`. */
export type Handle = number | bigint

/** The predefined handles that Switchyard uses, by their names in MPI's standard without `MPI_`. */
type HandleName =
  | 'COMM_WORLD'
  | 'ERRORS_RETURN'
  | 'BYTE'
  | 'FLOAT'
  | 'INT8_T'
  | 'UINT8_T'
  | 'UINT16_T'
  | 'INT32_T'
  | 'UINT32_T'
  | 'INT64_T'
  | 'MAX'
  | 'SUM'
export type Handles = Readonly<Record<HandleName, Handle>>

/** A binary interface. */
export interface Abi {
  /** The type of handles in C. `intptr_t` stands for any pointer. */
  readonly handle: 'int' | 'intptr_t'
  /** MPI_THREAD_FUNNELED: only the thread that has initialized MPI calls it. */
  readonly threadFunneled: number
  /** The predefined handles. `addressOf`: the address of a variable of the library. */
  handles(addressOf: (variable: string) => bigint): Handles
}
