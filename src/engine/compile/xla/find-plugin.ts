import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, delimiter, dirname, join, resolve } from 'node:path'
import { ConfigError } from '../../../base/errors.js'

/** What a plugin's devices are. */
export type XlaPlatform = 'cpu' | 'cuda' | 'tpu'

/** A PJRT plugin on disk. */
export interface FoundPlugin {
  readonly path: string
  readonly platform: XlaPlatform
  /** The pip package that it is part of; undefined for a path that the user named. */
  readonly package?: string
}

/** The pip packages with plugins, the preferred ones first: where the library lies in site-packages. */
const packages: readonly (Required<Pick<FoundPlugin, 'package' | 'platform'>> & { readonly file: string })[] = [
  { package: 'jax-cuda13-pjrt', platform: 'cuda', file: 'jax_plugins/xla_cuda13/xla_cuda_plugin.so' },
  { package: 'jax-cuda12-pjrt', platform: 'cuda', file: 'jax_plugins/xla_cuda12/xla_cuda_plugin.so' },
  { package: 'libtpu', platform: 'tpu', file: 'libtpu/libtpu.so' },
  { package: 'lammps-jax-pjrt-cpu', platform: 'cpu', file: 'lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so' },
  { package: 'fastatomstruct-xla-cpu', platform: 'cpu', file: 'fastatomstruct_xla_cpu/libpjrt_cpu.so' },
  { package: 'xla-cpu-pjrt', platform: 'cpu', file: 'xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so' },
]

/** Where plugins are looked for. */
export interface SearchPlaces {
  readonly env?: NodeJS.ProcessEnv
  readonly home?: string
  readonly folder?: string
  /** The root of the disk. */
  readonly root?: string
}

/**
 * The plugin to use: the one that SWITCHYARD_PJRT_PLUGIN names, else the first of `findPlugins` whose devices this
 * machine seems to have. Throws a ConfigError if the variable names no file.
 */
export function findPlugin(platform?: XlaPlatform, places: SearchPlaces = {}): FoundPlugin | undefined {
  const { env = process.env, root = '/' } = places
  const named = env.SWITCHYARD_PJRT_PLUGIN
  if (named) return pluginAt(named, 'SWITCHYARD_PJRT_PLUGIN')
  return findPlugins(places).find(plugin =>
    platform === undefined ? hasDevices(plugin.platform, root) : plugin.platform === platform,
  )
}

/** A plugin at a path that the user gave by `source`. Throws a ConfigError if there is no file. */
export function pluginAt(path: string, source: string): FoundPlugin {
  const full = resolve(path)
  if (!isFile(full))
    throw new ConfigError(
      `${source} is ${path}, where there is no file: give the path of a PJRT plugin, a shared library`,
    )
  const platform = /cuda|gpu/i.test(full) ? 'cuda' : /tpu/i.test(basename(full)) ? 'tpu' : 'cpu'
  return { path: full, platform }
}

/** All plugins that pip has installed in the usual places, the preferred ones first. Python is not started. */
export function findPlugins(places: SearchPlaces = {}): FoundPlugin[] {
  const folders = sitePackages(places)
  const found = packages.flatMap(({ file, ...plugin }) =>
    folders.map(folder => ({ ...plugin, path: join(folder, file) })).filter(({ path }) => isFile(path)),
  )
  // The same file may be reached by several names of its folder.
  const real = found.map(({ path }) => realpathSync(path))
  return found.filter((_, i) => real.indexOf(real[i]) === i)
}

/** The folders of installed Python packages: active environments, the Pythons on the path, the system's. */
export function sitePackages({
  env = process.env,
  home = homedir(),
  folder = process.cwd(),
  root = '/',
}: SearchPlaces): string[] {
  const environments = [env.VIRTUAL_ENV, env.CONDA_PREFIX, join(folder, '.venv'), join(folder, 'venv')]
  const onPath = (env.PATH ?? '').split(delimiter).filter(bin => bin !== '' && existsSync(join(bin, 'python3')))
  const prefixes = [
    ...environments,
    // A link such as .venv/bin/python3 leads to the Python that an environment was made with: both have packages.
    ...onPath.flatMap(bin => [dirname(bin), dirname(dirname(realpathSync(join(bin, 'python3'))))]),
    ...subfolders(join(env.PYENV_ROOT || join(home, '.pyenv'), 'versions')),
    join(home, '.local'),
    join(root, 'usr'),
    join(root, 'usr/local'),
  ].filter((prefix): prefix is string => Boolean(prefix))
  const found = prefixes.flatMap(prefix =>
    subfolders(join(prefix, 'lib'))
      .filter(lib => /^python3(\.\d+)?$/.test(basename(lib)))
      .flatMap(lib => [join(lib, 'site-packages'), join(lib, 'dist-packages')]),
  )
  return [...new Set(found)].filter(existsSync)
}

/** Whether the machine has devices of a platform, as far as their drivers' files tell. */
export function hasDevices(platform: XlaPlatform, root = '/'): boolean {
  if (platform === 'cuda') return existsSync(join(root, 'dev/nvidiactl')) || existsSync(join(root, 'dev/dxg'))
  if (platform === 'tpu') return existsSync(join(root, 'dev/accel0')) || existsSync(join(root, 'dev/vfio/0'))
  return true
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false

function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder)
      .toSorted()
      .map(name => join(folder, name))
  } catch {
    return []
  }
}
