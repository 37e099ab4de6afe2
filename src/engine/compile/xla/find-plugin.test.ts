import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlugin, findPlugins, hasDevices } from './find-plugin.js'
import type { SearchPlaces } from './find-plugin.js'

let disk: string
beforeAll(() => {
  disk = realpathSync(mkdtempSync(join(tmpdir(), 'plugins-')))
})
afterAll(() => rmSync(disk, { recursive: true }))

const touch = (path: string): string => {
  mkdirSync(dirname(join(disk, path)), { recursive: true })
  writeFileSync(join(disk, path), '')
  return join(disk, path)
}
const places = (env: NodeJS.ProcessEnv = {}): SearchPlaces => ({
  env,
  home: join(disk, 'home'),
  folder: join(disk, 'work'),
  root: disk,
})

describe('findPlugin', () => {
  it('takes the path that SWITCHYARD_PJRT_PLUGIN names, and says if there is no file', () => {
    const path = touch('elsewhere/my_cuda_plugin.so')
    expect(findPlugin(undefined, places({ SWITCHYARD_PJRT_PLUGIN: path }))).toEqual({ path, platform: 'cuda' })
    expect(() => findPlugin(undefined, places({ SWITCHYARD_PJRT_PLUGIN: '/no/such.so' }))).toThrow(
      'SWITCHYARD_PJRT_PLUGIN is /no/such.so, where there is no file',
    )
  })

  it('finds packages of pip in the active environment, in the folder, at the Python on the path, and for the user', () => {
    expect(findPlugins(places())).toEqual([])
    const inUser = touch('home/.local/lib/python3.12/site-packages/xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so')
    const inFolder = touch('work/.venv/lib/python3.12/site-packages/fastatomstruct_xla_cpu/libpjrt_cpu.so')
    const lammps = 'lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so'
    const inSystem = touch(`usr/lib/python3/dist-packages/${lammps}`)
    touch('opt/python/bin/python3.13')
    const atPython = touch(`opt/python/lib/python3.13/site-packages/${lammps}`)
    mkdirSync(join(disk, 'bin'))
    symlinkSync(join(disk, 'opt/python/bin/python3.13'), join(disk, 'bin/python3'))
    const active = touch(`active/lib/python3.11/site-packages/${lammps}`)
    const env = { VIRTUAL_ENV: join(disk, 'active'), PATH: join(disk, 'bin') }
    expect(findPlugins(places(env)).map(({ path }) => path)).toEqual([active, atPython, inSystem, inFolder, inUser])
    expect(findPlugin(undefined, places(env))).toEqual({
      path: active,
      platform: 'cpu',
      package: 'lammps-jax-pjrt-cpu',
    })
  })

  it("prefers a GPU's plugin where there is a GPU", () => {
    const path = touch('usr/lib/python3/dist-packages/jax_plugins/xla_cuda13/xla_cuda_plugin.so')
    expect(findPlugin(undefined, places())?.platform).toBe('cpu')
    expect(findPlugin('cuda', places())?.path).toBe(path)
    expect(hasDevices('cuda', disk)).toBe(false)
    touch('dev/nvidiactl')
    expect(findPlugin(undefined, places())).toEqual({ path, platform: 'cuda', package: 'jax-cuda13-pjrt' })
  })
})
