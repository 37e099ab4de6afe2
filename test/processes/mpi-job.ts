import { build } from 'esbuild'
import { spawn } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findMpi } from '../../src/engine/compile/processes/mpi/find-mpi.js'

/**
 * The MPI library for tests of several processes. Without one they are skipped, unless REQUIRE_MPI=true, which .ci/run
 * sets once it has installed MPICH: then its absence is a failure.
 */
export const mpiLibrary = findMpi()

// Commands that a test runs in another folder find the same library, also if it is in this folder's .venv.
if (mpiLibrary) process.env.SWITCHYARD_MPI = mpiLibrary
else {
  const reason = 'no MPICH was found: set SWITCHYARD_MPI to its library, or pip install mpich'
  if (process.env.REQUIRE_MPI === 'true') throw new Error(`REQUIRE_MPI is set, but ${reason}`)
  console.log(`tests of several processes with MPI are skipped: ${reason}`)
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

/** Runs a program as several processes, by the mpiexec that came with the library. */
export function mpiexec(processes: number, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<JobEnd> {
  const path = join(dirname(dirname(mpiLibrary!)), 'bin/mpiexec')
  const child = spawn(path, ['-n', String(processes), process.execPath, ...args], { env: { ...process.env, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}
