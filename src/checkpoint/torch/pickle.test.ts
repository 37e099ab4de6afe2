import { describe, expect, it } from 'vitest'
import { p } from '../../../test/conformance/torch-file.js'
import { FileError } from '../../base/errors.js'
import { PickleCall, PickleGlobal, PickleReference, unpickle } from './pickle.js'

const read = (bytes: Uint8Array): unknown => unpickle('model.bin', bytes, new Set(['torch.FloatStorage', 'torch.make']))
const op = (text: string): Uint8Array => Buffer.from(text, 'latin1')

describe('unpickle', () => {
  it.each<[string, Uint8Array, unknown]>([
    ['None, True, False', p.program(p.group(p.none, op('\x88'), op('\x89'))), [null, true, false]],
    [
      'integers',
      p.program(p.group(op('K\xff'), op('M\xff\xff'), p.int(-2), p.int(2 ** 40), p.int(-(2 ** 40)), op('\x8a\x00'))),
      [255, 65535, -2, 2 ** 40, -(2 ** 40), 0],
    ],
    ['a float', p.program(op('G\x3f\xf8\x00\x00\x00\x00\x00\x00')), 1.5],
    ['text', p.program(p.text('ü😀')), 'ü😀'],
    ['tuples', p.program(p.int(1), p.int(2), p.int(3), op('\x87'), op('\x85'), op(')'), op('\x86')), [[[1, 2, 3]], []]],
    ['lists', p.program(p.list, p.int(1), p.append, p.mark, p.int(2), p.int(3), op('e')), [1, 2, 3]],
    [
      'a dictionary',
      p.program(
        p.dict,
        p.text('a'),
        p.int(1),
        p.setItem,
        p.mark,
        p.text('b'),
        p.int(2),
        p.int(3),
        p.int(4),
        p.setItems,
      ),
      new Map<unknown, unknown>([
        ['a', 1],
        ['b', 2],
        [3, 4],
      ]),
    ],
    [
      'what is remembered',
      p.program(p.text('a'), op('q\x07'), p.put(300), p.get(300), op('h\x07'), op('\x87')),
      ['a', 'a', 'a'],
    ],
    ['an OrderedDict with state', p.program(p.orderedDict(), p.dict, p.build), new Map()],
    ['a global', p.program(p.global('torch', 'FloatStorage')), new PickleGlobal('torch.FloatStorage')],
    ['a call, as a record', p.program(p.call(p.global('torch', 'make'), p.int(1))), new PickleCall('torch.make', [1])],
    ['a reference', p.program(p.group(p.int(1)), p.reference), new PickleReference([1])],
  ])('reads %s', (_, bytes, value) => {
    expect(read(bytes)).toEqual(value)
  })

  it('keeps one object one', () => {
    const [a, b] = read(p.program(p.list, p.put(0), p.get(0), op('\x86'))) as unknown[]
    expect(a).toBe(b)
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['no opcodes', op(''), /ends too early/],
    ['no end', op('\x80\x02N'), /ends too early/],
    ['something after the end', op('\x80\x02N.N'), /goes on after its end/],
    ['values left over', op('\x80\x02NN.'), /values left over/],
    ['an open group', op('\x80\x02(N.'), /values left over/],
    ['a value below a group', p.program(p.none, p.mark, op('\x85')), /empty stack/],
    ['an end without a group', p.program(p.tuple), /did not begin/],
    ['protocol 4', op('\x80\x04N.'), /protocol 4/],
    [
      'a global that is not allowed',
      p.program(p.global('os', 'system')),
      /asks for "os\.system".*Nothing of it was run/,
    ],
    [
      'a global that hides in a module',
      p.program(p.global('torch._utils', '__builtins__')),
      /asks for "torch\._utils\.__builtins__"/,
    ],
    ['a global that acts on the terminal', p.program(p.global('a\u001b[2J', 'b')), /asks for "a\\u001b\[2J\.b"/],
    ['a global without an end', op('\x80\x02cos'), /does not end/],
    ['an opcode that makes instances', p.program(op('(ios\nsystem\n')), /opcode 0x69.*Nothing of it was run/],
    [
      'an object of a class that is not allowed',
      p.program(p.global('os', 'system'), op(')\x81')),
      /asks for "os\.system"/,
    ],
    ['an opcode that makes objects by name', p.program(p.global('torch', 'make'), op(')}\x92')), /opcode 0x92/],
    ['a global taken from the stack', p.program(p.text('os'), p.text('system'), op('\x93')), /opcode 0x93/],
    ['an extension', p.program(op('\x82\x01')), /opcode 0x82/],
    ['a call of what is not a global', p.program(p.call(p.text('eval'))), /cannot be called/],
    ['a call of what was called', p.program(p.call(p.call(p.global('torch', 'make')))), /cannot be called/],
    [
      'an OrderedDict with arguments',
      p.program(p.call(p.global('collections', 'OrderedDict'), p.list)),
      /with arguments/,
    ],
    ['state of a list', p.program(p.list, p.dict, p.build), /sets the state/],
    ['a key twice', p.program(p.dict, p.text('a'), p.none, p.setItem, p.text('a'), p.none, p.setItem), /key "a" twice/],
    [
      'a key that is a list within itself',
      p.program(p.dict, p.list, p.put(0), p.get(0), p.append, p.none, p.setItem),
      /neither text nor a number/,
    ],
    ['an odd number of items', p.program(p.dict, p.mark, p.none, p.setItems), /not a dictionary/],
    ['items of a list', p.program(p.list, p.text('a'), p.none, p.setItem), /not a dictionary/],
    ['what was never remembered', p.program(p.get(1)), /never remembered/],
    ['text longer than the pickle', op('\x80\x02X\xff\xff\xff\xffabc.'), /ends too early/],
    ['text that is not UTF-8', op('\x80\x02X\x01\x00\x00\x00\xff.'), /not UTF-8/],
    ['an integer past 2^53', op('\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40.'), /past 2\^53/],
    ['a reference by text', p.program(p.text('a'), p.reference), /not a tuple/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(message)
    expect(() => read(bytes)).toThrow(FileError)
    expect(() => read(bytes)).toThrow('model.bin')
  })

  it('reads an object of an allowed class as a record, without its state and items', () => {
    const object = Buffer.concat([p.global('torch', 'make'), p.group(p.int(3)), op('\x81')])
    const state = Buffer.concat([p.dict, p.text('a'), p.none, p.setItem])
    expect(read(p.program(object, state, p.build))).toEqual(new PickleCall('torch.make', [3]))
    expect(read(p.program(object, p.text('a'), p.none, p.setItem))).toEqual(new PickleCall('torch.make', [3]))
  })

  it('refuses more objects than a file of tensors makes, in little memory', () => {
    const memory = process.memoryUsage().rss
    expect(() => read(Buffer.concat([p.begin, Buffer.alloc(16 * 2 ** 20, p.dict)]))).toThrow(
      /more than 1,000,000 objects/,
    )
    expect(process.memoryUsage().rss - memory).toBeLessThan(500 * 2 ** 20)
  })
})
