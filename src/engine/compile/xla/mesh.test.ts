import { describe } from 'vitest'
import { meshConformance } from '../../../../test/conformance/mesh.js'
import { xlaPlugin } from '../../../../test/xla-plugin.js'
import { openBackend } from '../../api/open-backend.js'
import type { Backend } from '../backend.js'

describe.skipIf(!xlaPlugin)('programs on the devices of a mesh', () => {
  let xla: Promise<Backend> | undefined
  meshConformance(() => (xla ??= openBackend('xla', { plugin: xlaPlugin, cpuDevices: 8, cache: false })))
})
