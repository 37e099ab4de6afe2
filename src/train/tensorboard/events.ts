import protobuf from 'protobufjs/minimal.js'

/** What TensorBoard reads at the start of every file of events. */
const FILE_VERSION = 'brain.Event:2'

/** The value of a tag: a number, or a list of numbers, which becomes a histogram. */
export type SummaryValue = number | readonly number[]

/** The first event of a file, a `tensorflow.Event` (tensorflow/core/util/event.proto). */
export const fileVersionEvent = (wallTime: number): Uint8Array =>
  event(wallTime, 0, writer => writer.uint32(field(3, BYTES)).string(FILE_VERSION))

/** An event that makes TensorBoard forget the events of earlier files from `step` on. */
export const restartEvent = (wallTime: number, step: number): Uint8Array =>
  event(wallTime, step, writer =>
    // SessionLog { status: START }
    writer.uint32(field(7, BYTES)).fork().uint32(field(1, VARINT)).int32(1).ldelim(),
  )

/** An event with the values of one step. */
export const summaryEvent = (
  wallTime: number,
  step: number,
  values: Iterable<readonly [tag: string, value: SummaryValue]>,
): Uint8Array =>
  event(wallTime, step, writer => {
    writer.uint32(field(5, BYTES)).fork()
    for (const [tag, value] of values) {
      writer.uint32(field(1, BYTES)).fork()
      writer.uint32(field(1, BYTES)).string(tag)
      if (typeof value === 'number') writer.uint32(field(2, FIXED32)).float(value)
      else writeHistogram(writer.uint32(field(5, BYTES)).fork(), value).ldelim()
      writer.ldelim()
    }
    writer.ldelim()
  })

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** The key of a protobuf field. */
const field = (number: number, wireType: number): number => (number << 3) | wireType

/** `wallTime` is in seconds since 1970. */
function event(wallTime: number, step: number, content: (writer: protobuf.Writer) => void): Uint8Array {
  const writer = protobuf.Writer.create()
  writer.uint32(field(1, FIXED64)).double(wallTime).uint32(field(2, VARINT)).int64(step)
  content(writer)
  return writer.finish()
}

/** A `HistogramProto` whose bar from i to i + 1 is as high as value i: the load of expert i, for example. */
function writeHistogram(writer: protobuf.Writer, heights: readonly number[]): protobuf.Writer {
  const sum = heights.reduce((total, height) => total + height, 0)
  // The sums are those of the middles of the bars, weighted by their heights.
  const moment = (power: number): number => heights.reduce((total, height, i) => total + height * (i + 0.5) ** power, 0)
  const scalars = [0, heights.length, sum, moment(1), moment(2)]
  scalars.forEach((value, i) => writer.uint32(field(i + 1, FIXED64)).double(value))
  writeDoubles(
    writer,
    6,
    heights.map((_, i) => i + 1),
  )
  return writeDoubles(writer, 7, heights)
}

function writeDoubles(writer: protobuf.Writer, number: number, values: readonly number[]): protobuf.Writer {
  writer.uint32(field(number, BYTES)).fork()
  for (const value of values) writer.double(value)
  return writer.ldelim()
}
