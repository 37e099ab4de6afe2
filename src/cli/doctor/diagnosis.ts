import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { formatBytes } from '../../base/format.js'
import { libraryVersion } from '../../base/version.js'
import { openBackend } from '../../engine/api/open-backend.js'
import { findMpi, isOpenMpi, mpiInstallation } from '../../engine/compile/processes/mpi/find-mpi.js'
import { findPlugin, findPlugins, hasDevices, sitePackages } from '../../engine/compile/xla/find-plugin.js'
import type { FoundPlugin } from '../../engine/compile/xla/find-plugin.js'
import { pluginInstallation } from '../../engine/compile/xla/install-plugin.js'
import { loadKoffi } from '../../engine/compile/koffi.js'
import { backendOfEnvironment } from '../shared/backend.js'
import { Exit } from '../shared/exit.js'
import { failureOf, inChild } from './in-child.js'
import type { Failure } from './in-child.js'
import type { Device, TriedBackend, TriedMpi } from './libraries.js'
import { inspectMachine } from './machine.js'
import type { Machine } from './machine.js'
import { tryOut } from './trial.js'

interface Plugin extends FoundPlugin {
  /** The version of the pip package. */
  readonly version?: string
  readonly isChosen: boolean
}

/** A backend that was tried out: what it is, or why it does not run. */
type Tried = TriedBackend | Failure

interface Findings {
  readonly version: string
  readonly machine: Machine
  readonly defaultBackend: string
  readonly onnx: Tried
  readonly koffi: string | null
  readonly plugins: readonly Plugin[]
  /** null: there is no plugin. */
  readonly xla: Tried | null
  /** What connects several processes; null: there is no MPI. */
  readonly mpi: (TriedMpi & { readonly path: string }) | Failure | null
  /** The command that installs what is missing. */
  readonly install: string | null
}

/** Prints what computes here. Exits with 1 if something that is installed does not run. */
export async function doctor(json: boolean): Promise<void> {
  const findings = await examine()
  console.log(json ? JSON.stringify(findings, undefined, 2) : describe(findings))
  if ([findings.onnx, findings.xla].some(tried => tried !== null && 'failure' in tried)) throw new Exit(1)
}

async function examine(): Promise<Findings> {
  const { plugin: chosen, ...failed } = choosePlugin()
  const found = findPlugins()
  const all = chosen && !found.some(({ path }) => path === chosen.path) ? [chosen, ...found] : found
  const plugins = all.map(plugin => ({
    ...plugin,
    version: versionOf(plugin),
    isChosen: plugin.path === chosen?.path,
  }))
  const koffi = await loadKoffi().then(
    ({ version }) => version,
    () => null,
  )
  return {
    version: libraryVersion,
    machine: inspectMachine(),
    defaultBackend: backendOfEnvironment(),
    onnx: await tryOnnx().catch(failureOf),
    koffi,
    plugins,
    xla: chosen ? await inChild('xla', chosen.path) : 'failure' in failed ? failed : null,
    mpi: await inspectMpi(),
    install: installation(plugins, koffi),
  }
}

/** The plugin that would be used, or why SWITCHYARD_PJRT_PLUGIN names none. */
function choosePlugin(): { plugin?: FoundPlugin } | ({ plugin?: undefined } & Failure) {
  try {
    return { plugin: findPlugin() }
  } catch (error) {
    return failureOf(error)
  }
}

async function tryOnnx(): Promise<TriedBackend> {
  const backend = await openBackend('onnx')
  const trial = await tryOut(backend)
  return { description: await backend.describe(), trial }
}

/** The MPI library that connects processes. */
async function inspectMpi(): Promise<Findings['mpi']> {
  try {
    const path = findMpi()
    return path === undefined ? null : { path, ...(await inChild('mpi', path)) }
  } catch (error) {
    return failureOf(error)
  }
}

/** The version of a plugin's pip package, from the name of the folder that pip keeps about it. */
function versionOf({ path, package: name }: FoundPlugin): string | undefined {
  if (name === undefined) return undefined
  const prefix = `${name.replaceAll('-', '_')}-`
  for (const folder of [dirname(dirname(path)), dirname(dirname(dirname(path)))]) {
    const info = readdirSync(folder).find(entry => entry.startsWith(prefix) && entry.endsWith('.dist-info'))
    if (info) return info.slice(prefix.length, -'.dist-info'.length)
  }
  return undefined
}

/** The command that installs what XLA misses here; null if it misses nothing, or there is nothing for this system. */
function installation(plugins: readonly Plugin[], koffi: string | null): string | null {
  const commands: string[] = []
  if (koffi === null) commands.push('npm install koffi@3.3.4')
  const platform = hasDevices('cuda') ? 'cuda' : 'cpu'
  if (!plugins.some(plugin => plugin.platform === platform)) {
    const command = pluginInstallation(platform)
    if (command !== null) commands.push(command)
  }
  return commands.length === 0 ? null : commands.join(' && ')
}

function describe({ version, machine, defaultBackend, onnx, koffi, plugins, xla, mpi, install }: Findings): string {
  const rows: [string, string][] = [
    ['switchyard', `${version}; the backend is ${defaultBackend} unless --backend names another`],
    ['node', `${machine.node}, ${machine.system}`],
    [
      'processor',
      `${machine.processors} x ${machine.processor}${machine.features.length > 0 ? ` (${machine.features.join(' ')})` : ''}`,
    ],
    ['memory', `${formatBytes(machine.memoryBytes)}, ${formatBytes(machine.freeMemoryBytes)} of it free`],
    ['onnx', result(onnx)],
    ['koffi', koffi ?? 'missing: it calls XLA and MPI'],
    ...plugins.map(({ path, platform, package: name, version: its, isChosen }): [string, string] => [
      'plugin',
      `${name ? `${name}${its ? ` ${its}` : ''}` : 'given by SWITCHYARD_PJRT_PLUGIN'}, for ${platform}: ${path}${isChosen ? ' (chosen)' : ''}`,
    ]),
    [
      'xla',
      xla
        ? result(xla)
        : `no PJRT plugin was found: SWITCHYARD_PJRT_PLUGIN is not set, and pip has installed none in .venv or another of the ${sitePackages({}).length} folders that are searched`,
    ],
    ...(xla && 'devices' in xla ? (xla.devices ?? []).flatMap(deviceRow) : []),
    ['processes', describeMpi(mpi)],
    ...(install ? [['install', install] as [string, string]] : []),
  ]
  return rows.map(([name, text]) => `${name.padEnd(12)}${text}`).join('\n')
}

const describeMpi = (mpi: Findings['mpi']): string => {
  if (mpi === null) return `no MPICH was found, which switchyard launch needs: ${mpiInstallation()}`
  if ('failure' in mpi) return `do not run: ${mpi.failure}`
  const use = isOpenMpi(mpi.path)
    ? `for its mpirun (switchyard launch needs MPICH: ${mpiInstallation()})`
    : 'for switchyard launch'
  return `${mpi.version}, ${use}: ${mpi.path}`
}

const deviceRow = ({ kind, usedBytes, limitBytes }: Device): [string, string][] =>
  limitBytes === undefined
    ? []
    : [['device', `${kind}: ${formatBytes(limitBytes)}, ${formatBytes(usedBytes ?? 0)} of it in use`]]

function result(tried: Tried): string {
  if ('failure' in tried) return `does not run: ${tried.failure}`
  const { description, trial, stableHlo } = tried
  const hlo = stableHlo ? `, StableHLO ${stableHlo}` : ''
  return `${description}${hlo}: a small program was compiled in ${milliseconds(trial.compileMs)} and ran in ${milliseconds(trial.runMs)}`
}

const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
