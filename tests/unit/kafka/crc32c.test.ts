import { randomBytes } from 'node:crypto'
import { jsCRC32C } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../../lib/kafka/crc32c.ts'
import { plainCrc32c } from './batches.ts'

describe('crc32c', () => {
  // RFC 3720, appendix B.4, and the check value of every catalogue of CRCs.
  test.each([
    ['123456789', Buffer.from('123456789'), 0xe306_9283],
    ['32 bytes of zeros', Buffer.alloc(32), 0x8a91_36aa],
    ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8_ab43],
    ['32 bytes counting up', Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd_794e],
    ['nothing', Buffer.alloc(0), 0],
  ])('answers the published value for %s', (_name, bytes, expected) => {
    expect(crc32c(bytes, 0, bytes.length)).toBe(expected)
  })

  test('agrees with the definition, bit by bit, on any range of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat(), (bytes, a, b) => {
        const start = a % (bytes.length + 1)
        const end = start + (b % (bytes.length - start + 1))
        expect(crc32c(bytes, start, end)).toBe(plainCrc32c(bytes.subarray(start, end)))
      }),
    )
  })

  test('agrees with another implementation on a megabyte', () => {
    const bytes = randomBytes(1 << 20)
    expect(crc32c(bytes, 0, bytes.length)).toBe(jsCRC32C(bytes) >>> 0)
  })

  test('continues from the checksum of what came before', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (first, second) => {
        const both = Buffer.concat([first, second])
        const before = crc32c(first, 0, first.length)
        expect(crc32c(second, 0, second.length, before)).toBe(crc32c(both, 0, both.length))
      }),
    )
  })

  test.each([
    [-1, 2],
    [2, 1],
    [0, 4],
  ])('refuses the range [%i, %i) of three bytes', (start, end) => {
    expect(() => crc32c(new Uint8Array(3), start, end)).toThrow(RangeError)
  })
})
