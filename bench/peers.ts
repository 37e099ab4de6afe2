import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'

/** The path of a file in bench/, seen from the compiled bench/dist/bench/*.js. */
export const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** The Python in which the peers' libraries are installed. */
export const python = process.env.SWITCHYARD_PEERS_PYTHON ?? at('peers/.venv/bin/python')

/** Whether the peers are installed. Prints a message if they are not, and if the machine is not idle. */
export function checkMachine(): boolean {
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
