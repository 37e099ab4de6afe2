import { expect, it, vi } from 'vitest'
import { main } from '../main.js'

it.each(['0', '2.5', '257', 'all'])('refuses %s processes', async count => {
  const error = vi.spyOn(console, 'error').mockReturnValue()
  try {
    expect(await main(['launch', '--processes', count, '--', 'train', 'g2p'])).toBe(2)
    expect(error.mock.calls.join()).toContain(`--processes is ${count}: give a whole number from 1 to 256, such as 4`)
  } finally {
    error.mockRestore()
  }
})
