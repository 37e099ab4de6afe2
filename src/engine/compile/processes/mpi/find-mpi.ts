import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, join, resolve } from 'node:path'
import { ConfigError } from '../../../../base/errors.js'
import { sitePackages } from '../../xla/find-plugin.js'
import type { SearchPlaces } from '../../xla/find-plugin.js'
import { isByPmix } from './started-job.js'

/**
 * The names of the library's file by its binary interface, whose version they contain. Intel MPI, MVAPICH and Cray
 * MPICH share MPICH's interface; Debian renames MPICH's file. Any MPI may come with the standard interface.
 */
const names = {
  mpich: ['libmpi.so.12', 'libmpich.so.12', 'libmpi.12.dylib'],
  openMpi: ['libmpi.so.40', 'libmpi.40.dylib'],
  standard: ['libmpi_abi.so.1', 'libmpi_abi.1.dylib'],
}

/**
 * The path of the MPI library to use: the one that SWITCHYARD_MPI names, or else the first that pip, the system's
 * packages or the environment provide: MPICH before Open MPI, unless Open MPI's mpirun or PMIx has started this
 * process. Throws a ConfigError if the variable names no file.
 */
export function findMpi(places: SearchPlaces = {}): string | undefined {
  const { env = process.env } = places
  const named = env.SWITCHYARD_MPI
  if (named) {
    if (!statSync(named, { throwIfNoEntry: false })?.isFile())
      throw new ConfigError(
        `SWITCHYARD_MPI is ${named}, where there is no file: give the path of MPI's library, such as .venv/lib/libmpi.so.12`,
      )
    return resolve(named)
  }
  const folders = libraryFolders(places)
  const { mpich, openMpi, standard } = names
  return (isByPmix(env) ? [openMpi, mpich, standard] : [mpich, openMpi, standard])
    .flatMap(files => folders.flatMap(folder => files.map(name => join(folder, name))))
    .find(path => existsSync(path))
}

/** Whether a library is Open MPI's, by its name. */
export const isOpenMpi = (path: string): boolean => /^libmpi\.(so\.)?40\b/.test(basename(realpathSync(path)))

/** The folders in which a library is looked for. */
function libraryFolders(places: SearchPlaces): string[] {
  const { env = process.env, root = '/' } = places
  const listed = (variable: string): string[] => (env[variable] ?? '').split(delimiter).filter(Boolean)
  // pip puts the library into lib, beside lib/python3.x/site-packages.
  const ofPip = sitePackages(places).map(folder => dirname(dirname(folder)))
  const besideMpiexec = listed('PATH').flatMap(bin => {
    const mpiexec = join(bin, 'mpiexec')
    return existsSync(mpiexec) ? [join(dirname(dirname(realpathSync(mpiexec))), 'lib')] : []
  })
  const usr = join(root, 'usr/lib')
  const ofSystem = [usr, join(root, 'usr/lib64'), join(root, 'usr/local/lib'), join(root, 'opt/homebrew/lib')]
  const ofArchitecture = existsSync(usr) ? readdirSync(usr).filter(name => /-linux-gnu/.test(name)) : []
  const ofOneMpi = ['usr/lib64/mpich/lib', 'usr/lib64/openmpi/lib', 'opt/intel/oneapi/mpi/latest/lib'].map(path =>
    join(root, path),
  )
  return [
    ...listed('LD_LIBRARY_PATH'),
    ...ofPip,
    ...besideMpiexec,
    ...ofArchitecture.map(name => join(usr, name)),
    ...ofSystem,
    ...ofOneMpi,
  ]
}

/** The command that installs MPICH. */
export const mpiInstallation = (env: NodeJS.ProcessEnv = process.env): string =>
  env.VIRTUAL_ENV || env.CONDA_PREFIX
    ? 'pip install mpich==5.0.2'
    : 'python3 -m venv .venv && .venv/bin/pip install mpich==5.0.2'
