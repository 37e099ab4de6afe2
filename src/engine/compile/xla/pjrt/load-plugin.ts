import { SwitchyardError } from '../../../../base/errors.js'
import { loadKoffi } from '../../koffi.js'
import type { Koffi } from '../../koffi.js'
import { loadLibrary } from '../../shared-library.js'
import type { Pointer } from './struct.js'
import { functions, headerVersion } from './table.js'

/** What happens before a plugin is loaded. */
export interface LoadOptions {
  /** Libraries that the plugin needs. Those that cannot be loaded are left out. */
  readonly before?: readonly string[]
}

/** A version of the API that plugins implement. */
export interface ApiVersion {
  readonly major: number
  readonly minor: number
}

/** Loads a plugin, checks its version, and gives its table of functions. It stays loaded until the process ends. */
export async function loadPlugin(
  path: string,
  { before = [] }: LoadOptions,
): Promise<{ koffi: Koffi; api: Pointer; version: ApiVersion }> {
  const koffi = await loadKoffi()
  setVariable(koffi, 'TF_CPP_MIN_LOG_LEVEL', ONLY_FATAL)
  for (const library of before) attempt(() => koffi.load(library, { global: true }))
  let api: Pointer | null
  try {
    const getApi = loadLibrary(koffi, path).func('GetPjrtApi', 'void *', []) as () => Pointer | null
    keepLoaded(koffi, path)
    api = getApi()
  } catch (error) {
    throw new SwitchyardError(
      `${path} cannot be loaded as a PJRT plugin: ${error instanceof Error ? error.message : error}. ` +
        'Choose another with SWITCHYARD_PJRT_PLUGIN',
      { cause: error },
    )
  }
  if (api === null) throw new SwitchyardError(`${path} is no PJRT plugin: its GetPjrtApi returned nothing`)
  const head = new DataView(koffi.view(api, 40))
  const version = { major: head.getInt32(32, true), minor: head.getInt32(36, true) }
  checkVersion(path, version, Number(head.getBigUint64(0, true)))
  return { koffi, api, version }
}

/** XLA writes its log to the standard error. What it says of errors is in our exceptions, too. */
const ONLY_FATAL = '3'

/** Sets a variable that the user has not set. In a worker, native code does not see what `process.env` is given. */
function setVariable(koffi: Koffi, name: string, value: string): void {
  const setenv = koffi.load(null).func('setenv', 'int', ['str', 'str', 'int'])
  setenv(name, value, 0)
}

/**
 * Keeps a library in memory until the process ends. koffi unloads its libraries before that, and the functions that the
 * plugin has registered for the end of the process would be gone when they are called.
 */
function keepLoaded(koffi: Koffi, path: string): void {
  const dlopen = koffi.load(null).func('dlopen', 'void *', ['str', 'int'])
  const noDelete = process.platform === 'darwin' ? 0x80 : 0x1000
  dlopen(path, RTLD_NOW | noDelete)
}
const RTLD_NOW = 2

function attempt(body: () => void): void {
  try {
    body()
  } catch {
    // The plugin says what it misses when it is loaded.
  }
}

function checkVersion(path: string, { major, minor }: ApiVersion, tableBytes: number): void {
  const last = Math.max(...Object.values(functions).map(({ slot }) => slot + 8))
  if (major !== headerVersion.major || minor < headerVersion.minor || tableBytes < last)
    throw new SwitchyardError(
      `the PJRT plugin ${path} has version ${major}.${minor} of the API, and Switchyard needs ${headerVersion.major}.` +
        `${headerVersion.minor} or newer (${headerVersion.major}.x): install another, or choose one with ` +
        'SWITCHYARD_PJRT_PLUGIN',
    )
}
