import { afterAll, describe, expect, it } from 'vitest'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import { onnxBackend, setBackend } from '../../src/engine/api/engine.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import type { Backend, Executable } from '../../src/engine/compile/backend.js'
import { referenceBackend } from '../../src/engine/compile/reference/backend.js'
import { Program } from '../../src/engine/program/program.js'

afterAll(() => void setBackend(onnxBackend()))

const fail = (message: string) => async (): Promise<never> => {
  throw new Error(message)
}
const failingRun: Executable = {
  ...(await referenceBackend.compile(new Program([], [], []))),
  run: fail('out of luck'),
}
const failing: Record<string, Partial<Backend>> = {
  'a compilation': { compile: fail('unknown operation') },
  'a run': { compile: async () => failingRun },
  'a run that begins at once': {
    compile: async () => ({
      ...failingRun,
      runNow: () => {
        throw new Error('no room')
      },
    }),
  },
}

describe('an error names the function, and the line of the program that called it', () => {
  it.each(Object.entries(failing))('%s', async (_, methods) => {
    setBackend({ ...referenceBackend, ...methods })
    const x = np.array([1, 2])
    const doubled = jit(function doubled(y: Tensor) {
      return y.mul(2)
    })
    const line = Number(/:(\d+):\d+\)?$/m.exec(new Error('here').stack!.split('\n')[1])![1]) + 1
    const first = doubled(x)
    const message = await first.data().catch((error: Error) => error.message)
    expect(message).toMatch(/^doubled \(\/.*\/error-lines\.test\.ts:\d+:\d+\): (unknown operation|out of luck)$/)
    expect(Number(/:(\d+):\d+\)/.exec(String(message))![1])).toBe(line)
    // Now the executable is known. The line is still that of the first call, which traced the function.
    const again = await doubled(x)
      .data()
      .catch((error: Error) => error.message)
    expect(again).toMatch(/^doubled \(.*\): (unknown operation|out of luck|no room)$/)
  })
})
