import { expect, it, vi } from 'vitest'
import { onInterrupt } from './interrupt.js'

it('saves at the first signal, ends at a further Ctrl-C, and not at a further SIGTERM', () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never)
  const announce = vi.fn<() => void>()
  const { signal, stop } = onInterrupt(announce)
  try {
    expect(signal.aborted).toBe(false)
    for (let i = 0; i < 3; i++) process.emit('SIGTERM', 'SIGTERM')
    expect(signal.aborted).toBe(true)
    expect(announce).toHaveBeenCalledOnce()
    expect(exit).not.toHaveBeenCalled()
    process.emit('SIGINT', 'SIGINT')
    expect(exit).toHaveBeenCalledExactlyOnceWith(130)
  } finally {
    stop()
    exit.mockRestore()
  }
  expect(process.listenerCount('SIGTERM')).toBe(0)
})
