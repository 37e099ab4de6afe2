import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'

/** The path of a file in bench/, seen from the compiled bench/dist/bench/*.js. */
export const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** The Python in which the peers' libraries are installed. */
export const python = process.env.SWITCHYARD_PEERS_PYTHON ?? at('peers/.venv/bin/python')

/** The processor's sets of instructions that decide how fast matrix products are, as Linux names them. */
const relevantSets = ['avx2', 'avx512f', 'avx_vnni', 'avx512_vnni', 'amx_tile', 'amx_int8', 'amx_bf16', 'asimd', 'i8mm']

/** `2 x Intel(R) Xeon(R) Processor (avx2, avx512f)`. Without the sets where /proc/cpuinfo does not tell them. */
export function processor(): string {
  const known = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''
  const sets = /^(?:flags|Features)\s*:(.*)$/m.exec(known)?.[1].split(' ') ?? []
  const named = relevantSets.filter(set => sets.includes(set))
  return `${cpus().length} x ${cpus()[0].model}${named.length > 0 ? ` (${named.join(', ')})` : ''}`
}

/**
 * Whether the peers are installed. Prints the processor, and a message if they are not installed or if the machine is
 * not idle.
 */
export function checkMachine(): boolean {
  console.log(processor())
  const installed = existsSync(python)
  if (!installed)
    console.log(`The peers are not installed (${python} is missing): see bench/peers/README.md. Switchyard runs alone.`)
  if (loadavg()[0] > 1)
    console.log(`Other work is running (load average ${loadavg()[0].toFixed(1)}): the times below are not worth much.`)
  return installed
}

/** Whether the peers' Python has a module. Prints a message if it does not. */
export function pythonHas(module: string): boolean {
  const installed = spawnSync(python, ['-c', `import ${module}`]).status === 0
  if (!installed) console.log(`${module} is not installed: see bench/peers/README.md. Its contestants are left out.`)
  return installed
}
