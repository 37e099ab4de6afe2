import type { Backend } from '../src/engine/compile/backend.js'
import { setBackend } from '../src/engine/api/engine.js'
import { OnnxBackend } from '../src/engine/compile/onnx/backend.js'
import { defaultSessions } from '../src/engine/compile/onnx/node.js'
import { XlaBackend } from '../src/engine/compile/xla/backend.js'
import { findPlugin } from '../src/engine/compile/xla/find-plugin.js'

/** `onnx`, or `xla` with the plugin of SWITCHYARD_PJRT_PLUGIN. */
export async function openBackend(name: string): Promise<Backend> {
  if (name === 'onnx') return new OnnxBackend(defaultSessions())
  const plugin = findPlugin()
  if (plugin === undefined) throw new Error('SWITCHYARD_PJRT_PLUGIN names no plugin')
  return XlaBackend.create({ plugin })
}

/** Makes the backend that SWITCHYARD_BACKEND names the default. Returns its name: `onnx` if the variable is not set. */
export async function useBackend(): Promise<string> {
  const name = process.env.SWITCHYARD_BACKEND ?? 'onnx'
  if (name !== 'onnx') setBackend(await openBackend(name))
  return name
}
