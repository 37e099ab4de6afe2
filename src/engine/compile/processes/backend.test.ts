import { beforeAll, describe, expect, it } from 'vitest'
import { localBackends, jobAsBackend } from '../../../../test/processes/local-job.js'
import { allocate, dtypes, isFloat } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { hostFrom, sizeOf, toNumbers, writer } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { jit } from '../../api/jit.js'
import * as lax from '../../api/lax.js'
import * as np from '../../api/np.js'
import { onnxBackend } from '../../api/engine.js'
import { shardMap } from '../../api/shard-map.js'
import { Tensor } from '../../api/tensor.js'
import { makeProgram } from '../../api/transforms.js'
import * as ops from '../../program/ops.js'
import type { Program } from '../../program/program.js'
import { Mesh, NamedSharding, P } from '../../program/sharding.js'
import type { MeshAxis, PartitionSpec } from '../../program/sharding.js'
import { bind, traceClosed } from '../../program/trace.js'
import type { Value } from '../../program/value.js'
import { onOneDevice } from '../../transform/expand-shard-map.js'
import type { Backend } from '../backend.js'
import type { Concrete } from '../concrete.js'
import { Engine } from '../engine.js'
import { interpret } from '../reference/interpret.js'
import { referenceBackend } from '../reference/backend.js'
import { sizedProgram } from '../sized-program.js'

const mesh = new Mesh({ data: 2, expert: 2 })
const [data, expert] = mesh.axes
const both = P(['data', 'expert'])

/** A program with one shardMap, whose operand and result are divided like this. */
const mapped = (
  type: { dtype: DType; shape: readonly number[] },
  spec: PartitionSpec,
  out: PartitionSpec,
  body: (x: Value) => Value,
): Program => {
  const whole = type.shape.map((d, i) => d * sizeOf((spec.dims[i] ?? []).map(a => mesh.axisSize(a))))
  return traceClosed([{ dtype: type.dtype, shape: whole }], ([x]) =>
    bind('shardMap', [x], {
      mesh,
      inSpecs: [spec],
      outSpecs: [out],
      body: traceClosed([type], ([part]) => [body(part)]),
    }),
  )
}

function varied(dtype: DType, shape: readonly number[]): HostTensor {
  const tensor = { dtype, shape, data: allocate(dtype, sizeOf(shape)) }
  const write = writer(dtype, tensor.data)
  for (let i = 0; i < tensor.data.length; i++)
    write(i, dtype === 'bool' ? Number(i % 3 === 0) : isFloat(dtype) ? Math.sin(i) * 3 : (i * 37) % 101)
  return tensor
}

const toleranceOf = (dtype: DType): number => (dtype === 'float32' ? 1e-5 : 0)

const ring: readonly (readonly [number, number])[] = [
  [0, 1],
  [1, 0],
]
const collectives: { [name: string]: (x: Value, axis: MeshAxis, dim: number) => Value } = {
  psum: (x, axis) => ops.psum(x, [axis]),
  'psum over all axes': x => ops.psum(x, [expert, data]),
  allGather: (x, axis, dim) => ops.allGather(x, axis, dim),
  reduceScatter: (x, axis, dim) => ops.reduceScatter(x, axis, dim),
  'allToAll, rows to columns': (x, axis, dim) => ops.allToAll(x, axis, dim, 1 - dim),
  'allToAll in place': (x, axis, dim) => ops.allToAll(x, axis, dim, dim),
  ppermute: (x, axis) => ops.ppermute(x, axis, ring),
  'ppermute of one': (x, axis) => ops.ppermute(x, axis, [[1, 0]]),
}

describe('a program on a mesh of processes', () => {
  let job: Backend
  beforeAll(async () => {
    job = await jobAsBackend(4, () => referenceBackend)
  })
  const run = async (program: Program, input: HostTensor, spec: PartitionSpec): Promise<HostTensor> => {
    const executable = await job.compile(program, [], { mesh, inputs: [spec], outputs: [null] })
    const [output] = await executable.run([job.put(input, new NamedSharding(mesh, spec))])
    return output.read()
  }

  it.each(Object.keys(dtypes) as DType[])('runs all collectives on %s, along each axis and dimension', async dtype => {
    for (const [name, collective] of Object.entries(collectives))
      for (const axis of mesh.axes)
        for (const dim of [0, 1])
          for (const shape of [
            [2, 4],
            [4, 6],
          ]) {
            const program = mapped({ dtype, shape }, both, both, x => collective(x, axis, dim))
            const input = varied(dtype, program.inputs[0].aval.shape)
            const [expected] = interpret(onOneDevice(program), [input])
            const result = await run(program, input, both)
            expect(result.shape).toEqual(expected.shape)
            const numbers = toNumbers(result)
            toNumbers(expected).forEach((e, i) =>
              expect(
                Math.abs(numbers[i] - e),
                `${name} of ${dtype} along ${axis.name}, dimension ${dim}`,
              ).toBeLessThanOrEqual(toleranceOf(dtype)),
            )
          }
  })

  it('lays out an array without elements otherwise', async () => {
    const program = traceClosed([{ dtype: 'float32', shape: [4, 0] }], ([x]) => [ops.rev(x, [0])])
    const executable = await job.compile(program, [], { mesh, inputs: [P('data')], outputs: [P('expert')] })
    const empty = hostFrom('float32', [4, 0], [])
    const [output] = await executable.run([job.put(empty, new NamedSharding(mesh, P(null, 'data')))])
    expect(output.shards!.map(s => s.shape)).toEqual([
      [2, 0],
      [2, 0],
    ])
  })

  it('runs a collective on a constant', async () => {
    const program = makeProgram(
      shardMap((x: Tensor) => np.add(x, lax.psum(np.array(0.5), 'data')), mesh, { in: P('data'), out: P('data') }),
    )(np.zeros([2]))
    const result = await run(program, hostFrom('float32', [2], [1, 2]), P('data'))
    expect(toNumbers(result)).toEqual([2, 3])
  })

  it('runs shardMap within a function, and element-wise equations and sums on parts', async () => {
    const program = makeProgram((x: Tensor) => {
      const part = jit((y: Tensor) =>
        shardMap((z: Tensor) => np.multiply(z, 2), mesh, { in: P('data'), out: P('data') })(y),
      )(x)
      return np.sum(np.square(np.add(part, 1)), { axis: 0 })
    })(np.zeros([4, 3]))
    const input = varied('float32', [4, 3])
    const executable = await job.compile(program, [], { mesh, inputs: [P('data')], outputs: [null] })
    expect(String(executable.shardings?.[0].spec)).toBe('P()')
    const [output] = await executable.run([job.put(input, new NamedSharding(mesh, P('data')))])
    const [expected] = interpret(onOneDevice(program), [input])
    toNumbers(await output.read()).forEach((x, i) => expect(x).toBeCloseTo(toNumbers(expected)[i], 4))
  })

  it('writes an update into the memory of the state that is donated to it', async () => {
    const onnx = await jobAsBackend(4, () => onnxBackend())
    const program = makeProgram(
      shardMap(
        (state: Tensor, x: Tensor) => {
          const gradient = lax.psum(np.multiply(state, np.sum(x)), ['data', 'expert'])
          const norm = lax.psum(np.sum(np.square(gradient)), 'expert')
          return np.subtract(state, np.multiply(gradient, np.divide(0.1, np.sqrt(norm))))
        },
        mesh,
        { in: [P(), both], out: P() },
      ),
    )(np.zeros([64, 64]), np.zeros([8]))
    const partition = { mesh, inputs: [P(), both], outputs: [P()] }
    const executable = await onnx.compile(program, [true, false], partition)
    expect(executable.stats.fusedLoops).toBe(1)
    expect(executable.stats.inPlaceBytes).toBe(64 * 64 * 4)
    const [state, x] = [varied('float32', [64, 64]), varied('float32', [8])]
    const [expected] = interpret(onOneDevice(program), [state, x])
    const buffers = [onnx.put(state, new NamedSharding(mesh, P())), onnx.put(x, new NamedSharding(mesh, both))]
    const [output] = await executable.run(buffers)
    toNumbers(await output.read()).forEach((v, i) => expect(v).toBeCloseTo(toNumbers(expected)[i], 5))
    await expect(executable.run(buffers)).rejects.toThrow('was donated')
  })

  it('is refused with a collective in a loop whose end the data decides', async () => {
    const program = makeProgram(
      shardMap(
        (x: Tensor) =>
          lax.whileLoop(
            (c: Tensor) => np.less(np.sum(c), 9),
            (c: Tensor) => lax.psum(np.add(c, 1), 'data'),
            x,
          ),
        mesh,
        { in: P(), out: P() },
      ),
    )(np.zeros([2]))
    await expect(job.compile(program, [], { mesh, inputs: [P()], outputs: [P()] })).rejects.toThrow(
      'a collective within while does not run on several processes',
    )
  })

  it('needs as many processes as the mesh has devices', async () => {
    expect(() => job.put(varied('float32', [4]), new NamedSharding(new Mesh({ data: 2 }), P('data')))).toThrow(
      'mesh(data=2) has 2 devices, and this job has 4 processes, each of which is a device: make both equal',
    )
  })
})

describe('the backend of a process', () => {
  it('has the memory, and the faster way for few rows, of the backend that computes on it', async () => {
    const program = traceClosed([{ dtype: 'float32', shape: [2] }], ([x]) => [ops.mul(x, 2)])
    const few = { run: async () => null, release: async () => undefined }
    const inner = { ...referenceBackend, hasOwnMemory: true, forFewRows: async () => few }
    const [own] = await localBackends(2, () => inner)
    expect([own.hasOwnMemory, await own.forFewRows(program)]).toEqual([true, few])
    const [plain] = await localBackends(2, () => referenceBackend)
    expect([plain.hasOwnMemory, await plain.forFewRows(program)]).toEqual([false, null])
  })
})

describe('an array that is divided over processes', () => {
  it('is gathered for a reader, between the same runs on each process', async () => {
    const engines = (await localBackends(4, () => referenceBackend)).map(backend => new Engine(backend))
    const sharding = new NamedSharding(mesh, P('data', 'expert'))
    const host = hostFrom(
      'float32',
      [4, 4],
      Array.from({ length: 16 }, (_, i) => i),
    )
    const program = traceClosed([{ dtype: 'float32', shape: [4, 4] }], ([x]) => [ops.mul(x, 2)])
    const read = await Promise.all(
      engines.map(async (engine, rank) => {
        const x = engine.putLater(host, Promise.resolve(host), sharding)
        const parts = await (await x.buffer).shards![0].read()
        const [y] = engine.run(program, [x])
        // Processes that are slower read later, and call for the same runs.
        const first = y.read()
        await new Promise(resolve => setTimeout(resolve, 5 * rank))
        const [z] = engine.run(program, [y])
        return [parts, await first, await z.read(), await x.read()].map(toNumbers)
      }),
    )
    const numbers = toNumbers(host)
    expect(read.map(([part]) => part)).toEqual([
      [0, 1, 4, 5],
      [2, 3, 6, 7],
      [8, 9, 12, 13],
      [10, 11, 14, 15],
    ])
    for (const [, y, z, x] of read) {
      expect(y).toEqual(numbers.map(n => 2 * n))
      expect(z).toEqual(numbers.map(n => 4 * n))
      expect(x).toEqual(numbers)
    }
  })

  it('is gathered for a function with weights, as a weight and as another argument', async () => {
    const engines = (await localBackends(4, onnxBackend)).map(backend => new Engine(backend))
    const host = varied('float32', [4, 4])
    const product = (rows: number): Program =>
      traceClosed(
        [host.shape, [rows, 4]].map(shape => ({ dtype: 'float32' as const, shape })),
        ([w, x]) => [np.matmul(new Tensor(x), new Tensor(w)).value],
      )
    const results = await Promise.all(
      engines.map(async engine => {
        const on = (spec: PartitionSpec): Concrete =>
          engine.putLater(host, Promise.resolve(host), new NamedSharding(mesh, spec))
        const f = engine.compileWithWeights([product(4), product(8), product(12)], [on(P('data', 'expert')), null])
        const calls = [P('data'), P()].map(spec =>
          f
            .at(sizedProgram(product(4)))
            .run([on(spec)])[0]
            .read(),
        )
        return (await Promise.all(calls)).map(toNumbers)
      }),
    )
    const [expected] = interpret(product(4), [host, host]).map(toNumbers)
    for (const numbers of results.flat()) numbers.forEach((n, i) => expect(n).toBeCloseTo(expected[i], 4))
    expect(results.flat()).toHaveLength(8)
  })
})
