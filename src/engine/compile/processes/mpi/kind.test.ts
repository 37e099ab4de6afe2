import { expect, it } from 'vitest'
import { kindOf } from './kind.js'
import { mpichAbi } from './mpich-abi.js'
import { openMpiAbi } from './open-mpi-abi.js'
import { standardAbi } from './standard-abi.js'

const mpich =
  'MPICH Version:      5.0.2\nMPICH Device:       ch4:ucx ofi\nMPICH configure:    --with-device=ch4:ucx,ofi'

it.each([
  ['libmpi.so.12', mpich, { abi: mpichAbi, version: 'MPICH 5.0.2', isOpenMpi: false, speaksPmix: false }],
  [
    'libmpi.so.12',
    `${mpich} --with-pmix=/usr`,
    { abi: mpichAbi, version: 'MPICH 5.0.2', isOpenMpi: false, speaksPmix: true },
  ],
  [
    'libmpi_abi.so.1',
    mpich,
    { abi: standardAbi, version: 'MPICH 5.0.2 (standard interface)', isOpenMpi: false, speaksPmix: false },
  ],
  [
    'libmpi.so.40',
    'Open MPI v5.0.11, package: Open MPI user@localhost Distribution, ident: 5.0.11',
    { abi: openMpiAbi, version: 'Open MPI 5.0.11', isOpenMpi: true, speaksPmix: true },
  ],
  [
    'libmpi.so.12',
    'Intel(R) MPI Library 2021.11 for Linux* OS\n',
    { abi: mpichAbi, version: 'Intel(R) MPI Library 2021.11', isOpenMpi: false, speaksPmix: true },
  ],
  ['libmpi.so.12', 'Another MPI 1.0', undefined],
])('%s: %s', (file, description, kind) => {
  expect(kindOf(`/opt/lib/${file}`, description)).toEqual(kind)
})
