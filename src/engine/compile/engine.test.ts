import { describe, expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../../base/host-tensor.js'
import type { Tensor } from '../api/tensor.js'
import { assertMaxTraces, jit } from '../api/jit.js'
import * as np from '../api/np.js'
import { makeProgram } from '../api/transforms.js'
import type { Backend } from './backend.js'
import { Engine } from './engine.js'
import type { Concrete } from './concrete.js'
import { OnnxBackend } from './onnx/backend.js'
import type { HostBuffer } from './onnx/buffer.js'
import { nodeSessions } from './onnx/node.js'
import type { SessionFactory } from './onnx/session.js'
import { referenceBackend } from './reference/backend.js'

const sgd = (p: Tensor, g: Tensor): Tensor => np.subtract(p, np.multiply(g, 0.5))

describe('Engine', () => {
  it('updates donated arrays in place, with the result of a copy', async () => {
    const [p, g] = [np.array([1, 2, 3, 4, 5]), np.array([1, 1, 2, 2, 4])]
    const plain = jit(sgd)(p, g)
    const q = jit(sgd, { donate: [0] })(p, g)
    expect(await q.numbers()).toEqual([0.5, 1.5, 2, 3, 3])
    expect(await plain.numbers()).toEqual([0.5, 1.5, 2, 3, 3])
    expect(() => np.add(p, 1)).toThrow('was donated to sgd')
    await expect(p.data()).rejects.toThrow('use what that returned')
    expect(await g.numbers()).toEqual([1, 1, 2, 2, 4])
  })

  it('returns what the update also reads, for good', async () => {
    const step = jit(
      (p: Tensor, x: Tensor): [Tensor, Tensor] => {
        const gradient = np.matmul(p, x)
        return [np.subtract(p, np.multiply(gradient, 0.1)), gradient]
      },
      { donate: [0] },
    )
    let p = np.ones([2, 4])
    const gradients: Tensor[] = []
    for (let i = 0; i < 3; i++) {
      const [next, gradient] = step(p, np.eye(4))
      p = next
      gradients.push(gradient)
    }
    expect(await gradients[0].numbers()).toEqual(Array(8).fill(1))
  })

  it('skips an update by a bool, given or computed', async () => {
    const step = jit((p: Tensor, g: Tensor, ok: Tensor): Tensor => np.where(ok, np.subtract(p, g), p), { donate: [0] })
    expect(await step(np.array([1, 2, 3]), np.array([1, 1, 1]), np.array(true)).numbers()).toEqual([0, 1, 2])
    expect(await step(np.array([1, 2, 3]), np.array([1, 1, 1]), np.array([true, false, true])).numbers()).toEqual([
      0, 2, 2,
    ])
    const clip = jit(
      (p: Tensor, g: Tensor): [Tensor, Tensor] => [np.where(np.greater(g, 0), np.subtract(p, g), p), np.greater(p, g)],
      { donate: [0] },
    )
    const [q, larger] = clip(np.array([1, 2, 3]), np.array([2, -1, 1]))
    expect([await q.numbers(), await larger.numbers()]).toEqual([
      [-1, 2, 2],
      [0, 1, 1],
    ])
  })

  it('returns a result twice as two arrays', async () => {
    const [a, b] = jit((p: Tensor, g: Tensor): [Tensor, Tensor] => [np.subtract(p, g), np.subtract(p, g)], {
      donate: [0],
    })(np.array([3, 3]), np.array([1, 2]))
    jit(sgd, { donate: [0] })(a, np.array([100, 100]))
    expect(await b.numbers()).toEqual([2, 1])
  })

  it('gives data that later updates leave alone', async () => {
    const update = jit(sgd, { donate: [0] })
    const p = update(np.array([1, 2]), np.array([0, 0]))
    const { data } = await p.data()
    await update(p, np.array([2, 2])).data()
    expect(Array.from(data as Float32Array)).toEqual([1, 2])
  })

  it('refuses one array in two places if one is donated', () => {
    const p = np.array([1, 2])
    expect(() => jit(sgd, { donate: [0] })(p, p)).toThrow('the same f32[2] twice')
  })

  it('writes donated memory after everything that was to read it', async () => {
    const update = jit(sgd, { donate: [0] })
    let p = np.zeros([1000])
    const seen: Tensor[] = []
    for (let i = 0; i < 20; i++) {
      seen.push(np.sum(p))
      p = update(p, np.full([1000], -2))
    }
    expect(await Promise.all(seen.map(s => s.item()))).toEqual(seen.map((_, i) => i * 1000))
    expect(await np.sum(p).item()).toBe(20_000)
  })

  it('keeps the programs that were used last', async () => {
    let compiled = 0
    const engine = new Engine(
      {
        ...referenceBackend,
        compile: (...args) => {
          compiled++
          return referenceBackend.compile(...args)
        },
      },
      2,
    )
    const use = (length: number): void => {
      engine.compile(makeProgram(np.exp)(np.zeros([length]))).catch(() => undefined)
    }
    for (const length of [1, 2, 1, 3]) use(length)
    expect(compiled).toBe(3)
    use(1)
    expect(compiled).toBe(3)
    use(2)
    expect(compiled).toBe(4)
  })

  it('explains what it compiles', async () => {
    const backend = new OnnxBackend(nodeSessions(1))
    const program = makeProgram((p: Tensor, g: Tensor): Tensor[] => [
      np.subtract(p, np.multiply(np.exp(g), 0.5)),
      np.sum(np.exp(g)),
    ])(np.zeros([4]), np.zeros([4]))
    for (const donated of [
      [true, false],
      [false, false],
    ]) {
      const explained = backend.explain(program, donated)
      const { stats } = await backend.compile(program, donated)
      expect(explained.stats).toEqual(stats)
      expect(explained.nodes).toHaveLength(stats.nodes)
      expect(explained.loops).toHaveLength(donated[0] ? 1 : 0)
      expect(explained.inPlaceArrays).toBe(donated[0] ? 1 : 0)
      expect(explained.nodes.map(n => n.operation)).toContain('Exp')
    }
  })

  it('traces again for each static value, and can be told not to', () => {
    const power = assertMaxTraces(function power(x: Tensor, n: number): Tensor {
      return n === 0 ? np.ones(x.shape) : np.multiply(x, power(x, n - 1))
    }, 9)
    const f = jit(power, { static: [1] })
    f(np.array([2]), 2)
    f(np.array([3]), 2)
    const limited = jit(assertMaxTraces(sgd, 1))
    limited(np.array([1]), np.array([1]))
    expect(() => limited(np.array([1, 2]), np.array([1, 2]))).toThrow(
      'sgd was traced 2 times, and at most 1 were allowed',
    )
  })

  it('releases programs that leave its cache, after the runs that use them', async () => {
    const events: string[] = []
    const engine = new Engine(
      {
        ...referenceBackend,
        compile: async program => {
          const executable = await referenceBackend.compile(program)
          const [{ shape }] = program.inputs.map(v => v.aval)
          return {
            ...executable,
            run: async inputs => {
              events.push(`run ${shape}`)
              return executable.run(inputs)
            },
            release: async () => void events.push(`release ${shape}`),
          }
        },
      },
      2,
    )
    const run = (length: number): Promise<unknown> => {
      const x = engine.put(hostFrom('float32', [length], new Array<number>(length).fill(0)))
      return engine.run(makeProgram(np.exp)(np.zeros([length])), [x])[0].read()
    }
    await Promise.all([1, 2, 3, 4].map(run))
    await run(5)
    expect(events.filter(e => e.startsWith('release'))).toEqual(['release 1', 'release 2', 'release 3'])
    for (const n of [1, 2, 3]) expect(events.indexOf(`run ${n}`)).toBeLessThan(events.indexOf(`release ${n}`))
    for (let n = 10; n < 200; n++) await run(n)
    expect(engine.numPrograms).toBe(2)
  })
})

describe('a step that fails', () => {
  /** ONNX Runtime's sessions, of which the next creation or run fails when told. */
  const failing = { create: false, run: false }
  const factory: SessionFactory = {
    ...nodeSessions(1),
    create: async (graph, options) => {
      if (failing.create) throw new Error('no memory to create a session')
      const session = await nodeSessions(1).create(graph, options)
      return {
        ...session,
        run: async (inputs, outputs) => {
          if (failing.run) throw new Error('no memory to run')
          return session.run(inputs, outputs)
        },
      }
    },
  }
  const engine = new Engine(new OnnxBackend(factory))
  const put = (...values: number[]): Concrete => engine.put(hostFrom('float32', [values.length], values))
  const program = makeProgram((p: Tensor, m: Tensor, g: Tensor): Tensor[] => {
    const rate = np.sum(np.exp(g))
    const next = np.add(m, g)
    return [np.subtract(p, np.multiply(next, rate)), next, np.multiply(p, np.subtract(next, 1))]
  })(np.zeros([2]), np.zeros([2]), np.zeros([2]))
  const step = (p: Concrete, m: Concrete): Concrete[] =>
    engine.run(program, [p, m, put(0, 0)], [true, true, false], 'step')
  const numbers = async (x: Concrete): Promise<number[]> => toNumbers(await x.read())

  it.each(['create', 'run'] as const)('leaves donated arrays as they were when %s throws', async point => {
    const [p, m] = [put(10, 20), put(1, 2)]
    failing[point] = true
    const failed = step(p, m)
    expect(() => p.checkAlive()).toThrow('was donated to step')
    await expect(failed[0].read()).rejects.toThrow('no memory')
    expect([await numbers(p), await numbers(m)]).toEqual([
      [10, 20],
      [1, 2],
    ])
    failing[point] = false
    const [p2, m2] = step(p, m)
    await p2.read()
    // Both lie in an arena now: a step that fails must not free what it was given.
    failing.run = true
    const again = step(p2, m2)
    await expect(again[2].read()).rejects.toThrow('no memory')
    failing.run = false
    expect([await numbers(p2), await numbers(m2)]).toEqual([
      [8, 16],
      [1, 2],
    ])
    expect(() => p.checkAlive()).toThrow('was donated to step')
  })

  it('frees the memory that it had taken for results', async () => {
    const first = step(put(1, 1), put(1, 1))
    const results = await Promise.all(first.map(r => r.buffer))
    const arena = (results[0] as HostBuffer).block!.arena
    const free = arena.freeBytes
    for (let i = 0; i < 3; i++) {
      failing.run = true
      await expect(step(first[0], first[1])[0].read()).rejects.toThrow('no memory')
      failing.run = false
    }
    expect(arena.freeBytes).toBe(free)
    expect(results).toHaveLength(3)
  })

  it('keeps from the user what it has written over', async () => {
    const half: Backend = {
      ...referenceBackend,
      compile: async () => ({
        stats: { nodes: 0, generators: 0, fusedLoops: 0, inPlaceBytes: 0, weightBytes: 0 },
        run: async (inputs, written) => {
          written!.add(inputs[0])
          throw new Error('failed half way')
        },
        release: async () => undefined,
      }),
    }
    const broken = new Engine(half)
    const [p, m] = [1, 2].map(v => broken.put(hostFrom('float32', [2], [v, v])))
    const [result] = broken.run(program, [p, m, put(0, 0)], [true, true, false], 'step')
    await expect(result.read()).rejects.toThrow('half way')
    expect(() => p.checkAlive()).toThrow('was donated to step')
    expect(await numbers(m)).toEqual([2, 2])
  })
})

describe('a backend that starts runs at once', () => {
  /** Counts its runs; `fails` makes the next one fail. */
  const instant = () => {
    const counts = { now: 0, later: 0, fails: false }
    const backend: Backend = {
      ...referenceBackend,
      compile: async program => {
        const executable = await referenceBackend.compile(program)
        return {
          ...executable,
          run: (...args) => {
            counts.later++
            return executable.run(...args)
          },
          runNow: inputs => {
            if (counts.fails) throw new Error('no room')
            counts.now++
            const results = executable.run(inputs)
            return program.outputs.map(({ aval }, i) => ({
              aval,
              read: async () => (await results)[i].read(),
            }))
          },
        }
      },
    }
    return { counts, engine: new Engine(backend) }
  }
  const program = makeProgram(sgd)(np.zeros([2]), np.zeros([2]))
  const host = (values: number[]) => hostFrom('float32', [2], values)

  it('runs what is known there, in the order of the calls, and what is not as ever', async () => {
    const { counts, engine } = instant()
    const g = engine.put(host([2, 4]))
    const [first] = engine.run(program, [engine.put(host([1, 1])), g])
    // It waits for compilation, so this one waits behind it.
    const [second] = engine.run(program, [first, g])
    expect(toNumbers(await second.read())).toEqual([-1, -3])
    expect(counts).toMatchObject({ now: 0, later: 2 })
    let [p] = engine.run(program, [second, g])
    for (let i = 0; i < 3; i++) [p] = engine.run(program, [p, g])
    expect(toNumbers(await p.read())).toEqual([-5, -11])
    expect(counts).toMatchObject({ now: 4, later: 2 })
  })

  it('donates an array that nobody reads, and keeps it if the run fails', async () => {
    const { counts, engine } = instant()
    const g = engine.put(host([2, 4]))
    await engine.run(program, [g, g])[0].read()
    await engine.run(program, [engine.put(host([1, 1])), g], [true])[0].read()
    const p = engine.put(host([1, 1]))
    const before = counts.later
    const read = p.read()
    const [updated] = engine.run(program, [p, g], [true], 'step')
    expect(() => p.checkAlive()).toThrow('was donated to step')
    expect([toNumbers(await read), toNumbers(await updated.read())]).toEqual([
      [1, 1],
      [0, -1],
    ])
    expect(counts.later).toBe(before + 1)
    counts.fails = true
    const [failed] = engine.run(program, [updated, g], [true], 'step')
    await expect(failed.read()).rejects.toThrow('step: no room')
    counts.fails = false
    expect(toNumbers(await engine.run(program, [updated, g], [true], 'step')[0].read())).toEqual([-1, -3])
    expect(() => updated.checkAlive()).toThrow('was donated to step')
  })
})
