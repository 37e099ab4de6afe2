import { describe, expect, it } from 'vitest'
import { ApiError } from '../http/api-error.js'
import { Admission } from './admission.js'

function refusal(run: () => unknown): ApiError {
  try {
    run()
  } catch (error) {
    return error as ApiError
  }
  throw new Error('it was admitted')
}

describe('admission', () => {
  it('counts answers, and admits a request whole or not at all', () => {
    const admission = new Admission(10)
    const leave = admission.enter(6)
    expect(refusal(() => admission.enter(5)).status).toBe(429)
    admission.enter(4)
    expect(admission.size).toBe(10)
    leave()
    leave()
    expect(admission.size).toBe(4)
    admission.enter(6)
  })

  it('refuses for ever what is larger than its whole', () => {
    const error = refusal(() => new Admission(10).enter(11))
    expect([error.status, error.message]).toEqual([
      400,
      'the request asks for 11 answers or beams, and this server takes on at most 10 at once',
    ])
  })

  it('says when to come again: by how fast answers ended lately, from 1 to 60 seconds', () => {
    let now = 0
    const admission = new Admission(10, () => now)
    const wait = (): string => refusal(() => admission.enter(10)).headers['retry-after']
    const [first, second] = [admission.enter(5), admission.enter(5)]
    expect(wait()).toBe('1')
    now = 20_000
    first() // 5 answers in 20 s
    admission.enter(5)
    expect(wait()).toBe('40')
    now = 1e9
    second()
    expect(Number(wait())).toBeLessThanOrEqual(60)
  })
})
