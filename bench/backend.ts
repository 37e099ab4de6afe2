import { setBackend } from '../src/engine/api/engine.js'
import { openBackend } from '../src/engine/api/open-backend.js'
import type { BackendName } from '../src/engine/api/open-backend.js'

/** Makes the backend that SWITCHYARD_BACKEND names the default. Returns its name: `onnx` if the variable is not set. */
export async function useBackend(): Promise<string> {
  const name = process.env.SWITCHYARD_BACKEND || 'onnx'
  // Compilation is measured, so nothing comes from the cache.
  if (name !== 'onnx') setBackend(await openBackend(name as BackendName, { cache: false }))
  return name
}
