import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hostFrom, hostTensor, toNumbers } from '../../../base/host-tensor.js'
import { xlaPlugin } from '../../../../test/xla-plugin.js'
import * as np from '../../api/np.js'
import { Tensor } from '../../api/tensor.js'
import { jit } from '../../api/jit.js'
import { makeProgram } from '../../api/transforms.js'
import { Mesh, NamedSharding, P } from '../../program/sharding.js'
import { Engine } from '../engine.js'
import type { Buffer } from '../backend.js'
import { XlaBackend } from './backend.js'
import { finishComputing, type XlaBuffer } from './buffer.js'
import { openXla } from './node.js'

const double = makeProgram((x: Tensor) => np.multiply(x, 2))(np.zeros([2, 3]))
const x = hostFrom('float32', [2, 3], [1, 2, 3, 4, 5, 6])
const doubled = [2, 4, 6, 8, 10, 12]

describe.skipIf(!xlaPlugin)('XlaBackend', () => {
  let backend: XlaBackend
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'xla-'))
    backend = await openXla({ plugin: xlaPlugin, cpuDevices: 4, cache: false })
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('says which plugin it uses, and on which devices', async () => {
    expect(await backend.describe()).toMatch(/^XLA \(.*\.so, PJRT 0\.\d+\), 4 x cpu$/)
  })

  it('refuses a plugin with other devices than those that were asked for', async () => {
    const open = (platform: 'cuda' | 'tpu'): Promise<XlaBackend> => openXla({ plugin: xlaPlugin, platform })
    await expect(open('cuda')).rejects.toThrow('has devices of the platform cpu, and cuda was asked for')
    await expect(open('gpu' as 'cuda')).rejects.toThrow('platform is "gpu": choose one of cpu, cuda, tpu')
    await expect(openXla({ plugin: xlaPlugin, cpuDevices: 512 })).rejects.toThrow(
      'XLA divides a processor into 1 to 256 devices, and 512 were asked for',
    )
  })

  it('takes hundreds of calls at once', async () => {
    const compile = () => backend.client.compile('no program', { deviceIds: [0] }).catch((error: Error) => error.name)
    const failures = await Promise.all(Array.from({ length: 300 }, compile))
    expect(new Set(failures)).toEqual(new Set(['SwitchyardError']))
    await expect(backend.client.compile('no program', { deviceIds: [0] })).rejects.toThrow(/^XLA: /)
  })

  it('refuses inputs of another type, of which XLA compares only the bytes', async () => {
    const executable = await backend.compile(double)
    const integers = backend.put(hostFrom('int32', [2, 3], [1, 2, 3, 4, 5, 6]))
    await expect(executable.run([integers])).rejects.toThrow(
      'input 0 is i32[2,3], but the program was compiled for f32[2,3]',
    )
    const turned = backend.put(hostFrom('float32', [3, 2], [1, 2, 3, 4, 5, 6]))
    await expect(executable.run([turned])).rejects.toThrow('input 0 is f32[3,2]')
    await expect(executable.run([])).rejects.toThrow('the program takes 1 inputs, not 0')
  })

  it('waits at the end of the process for what is still computed', async () => {
    const product = makeProgram((a: Tensor) => np.matmul(np.matmul(a, a), a))(np.zeros([1000, 1000]))
    const executable = await backend.compile(product)
    const input = hostTensor('float32', [1000, 1000], new Float32Array(1_000_000))
    const [output] = await executable.run([backend.put(input)])
    const [part] = (output as XlaBuffer).parts
    finishComputing(60)
    expect(part.readyBefore(0)).toBe(true)
    expect(process.listeners('exit').filter(({ name }) => name === 'finish')).toHaveLength(1)
  })

  it('frees memory that is disposed of, and leaves views of it alone', async () => {
    const executable = await backend.compile(double)
    const before = backend.liveBytes
    const input = backend.put(x)
    const [output] = await executable.run([input])
    expect(backend.liveBytes).toBe(before + 48)
    input.dispose()
    expect(backend.liveBytes).toBe(before + 24)
    input.dispose()
    await expect(executable.run([input])).rejects.toThrow('this f32[2,3] was disposed of')
    const view = await output.read()
    output.dispose!()
    await expect(output.read()).rejects.toThrow('was disposed of')
    expect(toNumbers(view)).toEqual(doubled)
    expect(backend.liveBytes).toBe(before + 24)
  })

  it('does not collect garbage when results take the memory of donated inputs', async () => {
    let collections = 0
    const counting = new XlaBackend(backend.client, { collectGarbage: () => collections++ })
    const size = 2 ** 26 // 256 MiB: the least that counts as growth
    const program = makeProgram((x: Tensor) => np.multiply(x, 2))(np.zeros([size]))
    const executable = await counting.compile(program, [true])
    let state: Buffer = counting.put(hostTensor('float32', [size], new Float32Array(size)))
    expect(collections).toBe(1)
    for (let step = 0; step < 3; step++) [state] = await executable.run([state])
    expect(collections).toBe(1)
    state.dispose!()
  })

  it('takes the memory of donated inputs, but never that of an array of the host', async () => {
    const executable = await backend.compile(double, [true])
    // Aligned memory is used in place.
    const memory = new WebAssembly.Memory({ initial: 1 })
    const aligned = { ...x, data: new Float32Array(memory.buffer, 0, 6) }
    aligned.data.set(x.data as Float32Array)
    const input = backend.put(aligned)
    const [output] = await executable.run([input])
    expect(toNumbers(await output.read())).toEqual(doubled)
    expect(toNumbers(aligned)).toEqual([1, 2, 3, 4, 5, 6])
    await expect(input.read()).rejects.toThrow('this f32[2,3] was donated')
  })

  it('loads what an earlier process has compiled, unless it is damaged', async () => {
    const open = (): Promise<XlaBackend> => openXla({ plugin: xlaPlugin, cache: folder })
    const run = async (): Promise<number[]> => {
      const b = await open()
      const [output] = await (await b.compile(double)).run([b.put(x)])
      return toNumbers(await output.read())
    }
    expect(await run()).toEqual(doubled)
    const [name, ...others] = readdirSync(folder)
    expect(others).toEqual([])
    const path = join(folder, name)
    const good = readFileSync(path)
    expect(await run()).toEqual(doubled)
    for (const damage of [good.subarray(0, 100), Buffer.concat([good.subarray(0, -1), Buffer.from([1])])]) {
      writeFileSync(path, damage)
      expect(await run()).toEqual(doubled)
      // It was compiled again, and the entry replaced.
      expect(readFileSync(path).length).toBe(good.length)
    }
    expect(readdirSync(folder)).toEqual([name])
  })

  it('lays arrays out over a mesh, and gathers them', async () => {
    const mesh = new Mesh({ a: 2, b: 2 })
    const whole = hostFrom(
      'int32',
      [4, 2, 2],
      Array.from({ length: 16 }, (_, i) => i),
    )
    for (const spec of [P('a'), P(null, 'b'), P('b', null, 'a'), P(['a', 'b']), P()]) {
      const buffer = backend.put(whole, new NamedSharding(mesh, spec))
      expect(toNumbers(await buffer.read()), String(spec)).toEqual(toNumbers(whole))
    }
    const split = backend.put(whole, new NamedSharding(mesh, P(null, 'b')))
    expect(split.shards?.map(({ start, shape }) => [start, shape])).toEqual([
      [[0, 0, 0], [4, 1, 2]],
      [[0, 1, 0], [4, 1, 2]],
    ]) // prettier-ignore
    const eight = new NamedSharding(new Mesh({ a: 8 }), P())
    expect(() => backend.put(whole, eight)).toThrow('a mesh of 8 devices was asked for, and XLA has 4 (cpu)')
  })

  it('runs a program on the devices of a mesh, from inputs of any layout', async () => {
    const mesh = new Mesh({ a: 2 })
    const partition = { mesh, inputs: [P('a')], outputs: [P(null)] }
    const executable = await backend.compile(double, [], partition)
    for (const input of [backend.put(x), backend.put(x, new NamedSharding(mesh, P('a')))]) {
      const [output] = await executable.run([input])
      expect(output.sharding?.mesh).toBe(mesh)
      expect(toNumbers(await output.read())).toEqual(doubled)
    }
  })

  it('says what a program needs that does not fit into memory', async () => {
    // 227 TiB: more than a process can address.
    const size = 7_900_000
    const huge = makeProgram((y: Tensor) => np.broadcastTo(np.tanh(y), [size, size]))(np.array(1))
    const executable = await backend.compile(huge)
    await expect(executable.run([backend.put(hostFrom('float32', [], [1]))], undefined, 'huge')).rejects.toThrow(
      /^huge does not fit into the device's memory: it needs 4 B of inputs, 227\.\d+ TiB of results .* larger mesh\. .*RESOURCE_EXHAUSTED/,
    )
  })

  it('frees an array of the user once the runs that use it have begun', async () => {
    const engine = new Engine(backend)
    const f = jit(function triple(y: Tensor) {
      return np.multiply(y, 3)
    })
    const y = new Tensor(engine.put(x))
    const tripled = f(y)
    y.dispose()
    expect(await tripled.numbers()).toEqual([3, 6, 9, 12, 15, 18])
    expect(() => f(y)).toThrow('this f32[2,3] was disposed of: keep it until its last use')
  })
})
