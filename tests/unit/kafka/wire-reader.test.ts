import { Writer } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { createWireReader } from '../../../lib/kafka/wire-reader.ts'

const wire = (bytes: Buffer) => createWireReader({ api: 'Test', version: 0, bytes })

describe('createWireReader', () => {
  test('every int32 that another client writes as a varint is read', () => {
    const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    fc.assert(
      fc.property(int32, value => {
        expect(wire(Writer.create().appendVarInt(value).buffer).readVarint('v')).toBe(value)
      }),
      { examples: [[-(2 ** 31)], [2 ** 31 - 1], [-1], [0]] },
    )
  })

  test('a DecodeError names structure, version, field and position in one line', () => {
    const reader = wire(Buffer.from([0, 0, 0, 1, 9]))
    reader.readInt32('first')
    expect(() => reader.readInt64('second')).toThrow(
      new DecodeError({
        api: 'Test',
        version: 0,
        field: 'second',
        at: 4,
        found: '8 bytes expected, 1 left',
      }),
    )
    expect(() => wire(Buffer.alloc(0)).readInt8('only')).toThrow(
      'Test v0: cannot read only at byte 0: 1 bytes expected, 0 left',
    )
  })

  test('a negative length from the wire is refused', () => {
    expect(() => wire(Buffer.alloc(4)).readBytes('key', -1)).toThrow(DecodeError)
  })

  test('a varint of more than 32 bits and a varlong of more than ten bytes are refused', () => {
    expect(() => wire(Buffer.from('ffffffff7f', 'hex')).readVarint('v')).toThrow(DecodeError)
    expect(() => wire(Buffer.alloc(11, 0xff)).skipVarlong('v')).toThrow(DecodeError)
  })

  test('null and empty strings and arrays are told apart where the protocol does', () => {
    const reader = wire(Buffer.from([0, 1, 0, 1]))
    expect(reader.readCompactString('null')).toBeNull()
    expect(reader.readCompactString('empty')).toBe('')
    expect(reader.readCompactArray('null', 1, () => 1)).toEqual([])
    expect(reader.readCompactArray('empty', 1, () => 1)).toEqual([])
    reader.expectEnd()
  })
})
