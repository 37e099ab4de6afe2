import { describe, expect, it } from 'vitest'
import { gpuOptions } from './client-options.js'

describe('options of a GPU', () => {
  it("are left to the plugin, given by the caller, or by JAX's environment variables", () => {
    expect(gpuOptions({}, {})).toEqual({})
    const env = { XLA_CLIENT_MEM_FRACTION: '0.5', XLA_PYTHON_CLIENT_PREALLOCATE: 'False' }
    expect(gpuOptions({}, env)).toEqual({ memory_fraction: { float: 0.5 }, preallocate: false })
    // As a whole number, 1 would be passed as an int64, which the plugin refuses.
    expect(gpuOptions({ memoryFraction: 1, preallocate: true }, env)).toEqual({
      memory_fraction: { float: 1 },
      preallocate: true,
    })
  })

  it.each([0, 1.5, NaN])('have a share of the memory above 0 and at most 1, not %s', memoryFraction => {
    expect(() => gpuOptions({ memoryFraction }, {})).toThrow('must be above 0 and at most 1')
  })
})
