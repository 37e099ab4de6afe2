import { afterEach, expect, it } from 'vitest'
import { LongWork, noticeWork, onLongWork } from '../../data/long-work.js'
import { showWork } from './show-work.js'

const MIB = 2 ** 20
afterEach(() => onLongWork(undefined))

/** What is written while 40 MiB are indexed in `seconds`, in a terminal or not. */
function written(seconds: number, isTTY: boolean): string[] {
  const lines: string[] = []
  let now = 0
  const clock = (): number => now
  onLongWork(showWork({ isTTY, write: text => lines.push(text) }, clock))
  const work = new LongWork('indexing big.jsonl', 40 * MIB, 'bytes', clock)
  for (let done = 0; done < 40 * MIB; done += MIB / 10, now += seconds / 400) work.at(done)
  work.end()
  return lines
}

it('shows long work in a terminal as one line that moves and is erased at the end', () => {
  const lines = written(2, true)
  expect(lines.map(line => line.replace('\r\x1b[K', ''))).toEqual([
    'indexing big.jsonl: 50% of 40.00 MiB',
    'indexing big.jsonl: 62% of 40.00 MiB',
    'indexing big.jsonl: 75% of 40.00 MiB',
    'indexing big.jsonl: 88% of 40.00 MiB',
    '',
  ])
  expect(lines.every(line => line.startsWith('\r\x1b[K'))).toBe(true)
})

it('shows long work elsewhere as a line every five seconds, and work of less than a second not at all', () => {
  expect(written(12, false)).toEqual([
    'indexing big.jsonl: 8% of 40.00 MiB\n',
    'indexing big.jsonl: 51% of 40.00 MiB\n',
    'indexing big.jsonl: 94% of 40.00 MiB\n',
  ])
  expect(written(0.9, true)).toEqual([])
})

it('writes a message on a line of its own', () => {
  const lines: string[] = []
  onLongWork(showWork({ isTTY: true, write: text => lines.push(text) }))
  noticeWork('a damaged file')
  expect(lines).toEqual(['\r\x1b[Ka damaged file\n'])
})
