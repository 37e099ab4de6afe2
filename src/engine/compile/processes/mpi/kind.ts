import { basename } from 'node:path'
import type { Abi } from './abi.js'
import { mpichAbi } from './mpich-abi.js'
import { openMpiAbi } from './open-mpi-abi.js'
import { standardAbi } from './standard-abi.js'

/** What an MPI library is. */
export interface Kind {
  readonly abi: Abi
  /** Its name and version: `MPICH 5.0.2`. */
  readonly version: string
  /** Whether it is Open MPI, whose processes find each other by PMIx alone. */
  readonly isOpenMpi: boolean
  /** Whether its processes can find each other by PMIx. MPICH must have been built with it, and aborts otherwise. */
  readonly speaksPmix: boolean
}

/**
 * The kind of the library in a file, from the text that it describes itself by (MPI_Get_library_version); undefined for
 * an MPI whose binary interface is not known.
 */
export function kindOf(path: string, description: string): Kind | undefined {
  const mpich = /^MPICH Version:\s*(\S+)/m.exec(description)?.[1]
  const openMpi = /^Open MPI v(\d[\w.]*)/.exec(description)?.[1]
  const other = /^(Intel\(R\) MPI Library \S+|MVAPICH\S* Version\s*:?\s*\S+|CRAY MPICH version \S+)/m.exec(description)
  const version = mpich ? `MPICH ${mpich}` : openMpi ? `Open MPI ${openMpi}` : other?.[1].replaceAll(/\s+/g, ' ')
  if (version === undefined) return undefined
  const isStandard = basename(path).startsWith('libmpi_abi.')
  return {
    abi: isStandard ? standardAbi : openMpi ? openMpiAbi : mpichAbi,
    version: isStandard ? `${version} (standard interface)` : version,
    isOpenMpi: openMpi !== undefined,
    speaksPmix: mpich === undefined || /pmix/i.test(description),
  }
}
