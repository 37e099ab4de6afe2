import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import protobuf from 'protobufjs/minimal.js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cutTfRecords } from '../../data/sources/tfrecord/framing.js'
import { numberOfEvents } from '../run-files.js'
import { EventLog } from './event-log.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-events-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** The fields of a message, by number. Messages inside it stay bytes. */
function fieldsOf(bytes: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const reader = protobuf.Reader.create(bytes)
  const fields = new Map<number, (number | Uint8Array)[]>()
  while (reader.pos < reader.len) {
    const key = reader.uint32()
    const read: Record<number, () => number | Uint8Array> = {
      0: () => Number(reader.int64()),
      1: () => reader.double(),
      2: () => reader.bytes(),
      5: () => reader.float(),
    }
    const values = fields.get(key >> 3) ?? []
    values.push(read[key & 7]())
    fields.set(key >> 3, values)
  }
  return fields
}
const message = (fields: Map<number, (number | Uint8Array)[]>, number: number) =>
  fieldsOf(fields.get(number)![0] as Uint8Array)
const text = (bytes: number | Uint8Array): string => Buffer.from(bytes as Uint8Array).toString()
const doubles = (bytes: number | Uint8Array): number[] => {
  const reader = protobuf.Reader.create(bytes as Uint8Array)
  return Array.from({ length: reader.len / 8 }, () => reader.double())
}

async function eventsIn(name: string) {
  async function* chunks() {
    yield await readFile(join(folder, name))
  }
  const events = []
  for await (const { bytes } of cutTfRecords(chunks(), name)) events.push(fieldsOf(bytes))
  return events
}

describe('EventLog', () => {
  it('writes scalars, and lists as histograms', async () => {
    const log = new EventLog(folder, 0)
    expect(await readdir(folder)).toEqual([])
    await log.append({ step: 1, loss: 2.5, load: [0.75, 0, 0.25] })
    await log.append({ step: 2, loss: NaN })
    const [name] = await readdir(folder)
    expect(numberOfEvents(name)).toBeGreaterThan(1.7e9)
    const [version, , first, second] = await eventsIn(name)
    expect(text(version.get(3)![0])).toBe('brain.Event:2')
    expect(Math.abs((version.get(1)![0] as number) - Date.now() / 1000)).toBeLessThan(60)
    expect(first.get(2)).toEqual([1])
    const [loss, load] = message(first, 5)
      .get(1)!
      .map(value => fieldsOf(value as Uint8Array))
    expect([text(loss.get(1)![0]), loss.get(2)]).toEqual(['loss', [2.5]])
    expect(text(load.get(1)![0])).toBe('load')
    const histogram = message(load, 5)
    expect([1, 2, 3, 4, 5].map(field => histogram.get(field)![0])).toEqual([0, 3, 1, 1, 1.75])
    expect([doubles(histogram.get(6)![0]), doubles(histogram.get(7)![0])]).toEqual([
      [1, 2, 3],
      [0.75, 0, 0.25],
    ])
    expect(fieldsOf(message(second, 5).get(1)![0] as Uint8Array).get(2)).toEqual([NaN])
  })

  it('begins a new, later file after a resume, which says from which step on older events are void', async () => {
    await new EventLog(folder, 0).append({ step: 1, loss: 1 })
    await writeFile(join(folder, 'events.out.tfevents.9000000000.elsewhere'), '')
    await new EventLog(folder, 7).append({ step: 8, loss: 1 })
    const names = (await readdir(folder)).sort()
    expect(names[2]).toMatch(/^events\.out\.tfevents\.9000000001\./)
    const [, restart] = await eventsIn(names[2])
    expect(restart.get(2)).toEqual([8])
    expect(message(restart, 7).get(1)).toEqual([1])
  })
})
