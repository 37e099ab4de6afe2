import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { ConfigError } from '../../../../base/errors.js'
import { sitePackages } from '../../xla/find-plugin.js'
import type { SearchPlaces } from '../../xla/find-plugin.js'

/**
 * The library of an MPI with MPICH's binary interface: MPICH itself, Intel MPI, MVAPICH and Cray MPICH. Its file is
 * named after the interface's version; Debian renames MPICH's.
 */
const names = ['libmpi.so.12', 'libmpich.so.12', 'libmpi.12.dylib']

/**
 * The path of the MPI library to use: the one that SWITCHYARD_MPI names, or else the first that pip, the system's
 * packages or the environment provide. Throws a ConfigError if the variable names no file.
 */
export function findMpi(places: SearchPlaces = {}): string | undefined {
  const { env = process.env } = places
  const named = env.SWITCHYARD_MPI
  if (named) {
    if (!statSync(named, { throwIfNoEntry: false })?.isFile())
      throw new ConfigError(
        `SWITCHYARD_MPI is ${named}, where there is no file: give the path of MPICH's library, such as .venv/lib/libmpi.so.12`,
      )
    return resolve(named)
  }
  return libraryFolders(places)
    .flatMap(folder => names.map(name => join(folder, name)))
    .find(path => existsSync(path))
}

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
  const ofMpich = [join(root, 'usr/lib64/mpich/lib'), join(root, 'opt/intel/oneapi/mpi/latest/lib')]
  return [
    ...listed('LD_LIBRARY_PATH'),
    ...ofPip,
    ...besideMpiexec,
    ...ofArchitecture.map(name => join(usr, name)),
    ...ofSystem,
    ...ofMpich,
  ]
}

/** The command that installs an MPI. */
export const mpiInstallation = (env: NodeJS.ProcessEnv = process.env): string =>
  env.VIRTUAL_ENV || env.CONDA_PREFIX
    ? 'pip install mpich==5.0.2'
    : 'python3 -m venv .venv && .venv/bin/pip install mpich==5.0.2'
