import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * The libraries that the plugin for CUDA needs, in an order in which each finds those before it. The plugin looks for
 * them beside itself, where pip puts the packages nvidia-*; loading them first makes it find them elsewhere, too.
 */
const libraries = [
  /^libcudart\.so/,
  /^libnvJitLink\.so/,
  /^libcublasLt\.so/,
  /^libcublas\.so/,
  /^libcufft\.so/,
  /^libcusparse\.so/,
  /^libcusolver\.so/,
  /^libcupti\.so/,
  /^libnvrtc\.so/,
  /^libcudnn\.so/,
  /^libnccl\.so/,
  /^libnvshmem_host\.so/,
]

/** The paths of CUDA's libraries in the site-packages of a plugin. */
export function cudaLibraries(plugin: string): string[] {
  const nvidia = join(sitePackagesOf(plugin), 'nvidia')
  const files = list(nvidia).flatMap(part => {
    const lib = join(nvidia, part, 'lib')
    return list(lib).map(file => ({ file, path: join(lib, file) }))
  })
  return libraries.flatMap(name => files.filter(({ file }) => name.test(file)).map(({ path }) => path))
}

/** The folder with `ptxas` and `libdevice`, which XLA's compiler needs; undefined if it is the system's. */
export function cudaDataFolder(plugin: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (env.CUDA_ROOT) return env.CUDA_ROOT
  const nvidia = join(sitePackagesOf(plugin), 'nvidia')
  return ['cu13', 'cuda_nvcc'].map(part => join(nvidia, part)).find(folder => existsSync(join(folder, 'bin/ptxas')))
}

/** A plugin is site-packages/jax_plugins/xla_cuda13/xla_cuda_plugin.so. */
const sitePackagesOf = (plugin: string): string => dirname(dirname(dirname(plugin)))

function list(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted()
  } catch {
    return []
  }
}
