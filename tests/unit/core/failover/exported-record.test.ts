import fc from 'fast-check'
import { expect, test } from 'vitest'
import { exportedLine, readFields } from '../../../../lib/core/failover/exported-record.ts'
import { DecodeError } from '../../../../lib/kafka/decode-error.ts'
import { bodyOf } from '../../../../lib/kafka/record.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 300 }).map(each => Buffer.from(each)))

test('key and value are read as they were written, also missing ones', () => {
  const property = fc.property(bytes, bytes, (key, value) => {
    expect(readFields(bodyOf(key, value))).toEqual({ key, value, headers: [] })
  })
  fc.assert(property)
})

test('headers are read in their order, with missing values', () => {
  // key length -1, value length 1, two headers: "a" of one byte, "b" without a value.
  const body = Buffer.from([0x01, 0x02, 0x76, 0x04, 0x02, 0x61, 0x02, 0x31, 0x02, 0x62, 0x01])
  expect(readFields(body)).toEqual({
    key: null,
    value: Buffer.from('v'),
    headers: [
      { key: 'a', value: Buffer.from('1') },
      { key: 'b', value: null },
    ],
  })
})

test('a body that ends too early is refused at every byte', () => {
  const body = bodyOf(Buffer.from('key'), Buffer.from('value'))
  for (let length = 0; length < body.length; length += 1) {
    expect(() => readFields(body.subarray(0, length))).toThrow(DecodeError)
  }
})

test('a line says where the record lay, and holds its bytes in base64', () => {
  const body = bodyOf(Buffer.from('key'), null)
  const record = { offset: 2n ** 53n + 1n, body, createTime: 7n }
  expect(JSON.parse(exportedLine({ topic: 'orders', partition: 3 }, record))).toEqual({
    ...{ topic: 'orders', partition: 3, offset: '9007199254740993', timestamp: '7' },
    ...{ key: 'a2V5', value: null, headers: [] },
  })
})
