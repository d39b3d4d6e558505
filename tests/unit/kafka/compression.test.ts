import zlib from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compress, decompress } from '../../../lib/kafka/compression.ts'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { codecs } from './record-bytes.ts'

const packed = codecs.filter(codec => codec !== 'none')

describe.each(packed)('%s', codec => {
  test('compressed bytes of any size decompress to the same bytes', () => {
    const sizes = fc.oneof(fc.nat(1000), fc.constantFrom(65_536, 65_537, 300_000, 1_200_000))
    fc.assert(
      fc.property(sizes, fc.nat(255), (size, seed) => {
        const bytes = Buffer.alloc(size, Uint8Array.from([seed, 1, 2, seed ^ 0x55, 7, 7]))
        expect(decompress(codec, compress(codec, bytes)).equals(bytes)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  test('decompressing refuses content above the bound and accepts content of exactly the bound', () => {
    const bytes = Buffer.alloc(4 * 65_536, 'record')
    const block = compress(codec, bytes)
    expect(decompress(codec, block, bytes.length).equals(bytes)).toBe(true)
    expect(() => decompress(codec, block, bytes.length / 2)).toThrow(DecodeError)
  })

  test('decompressing truncated or random bytes gives a DecodeError or a bounded result', () => {
    const whole = compress(codec, Buffer.alloc(3000, 'abcdefg'))
    const cut = fc.nat(whole.length - 1).map(length => whole.subarray(0, length))
    const random = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
    const tail = random.map(bytes => Buffer.concat([whole, bytes]))
    fc.assert(
      fc.property(fc.oneof(cut, random, tail), bytes => {
        try {
          expect(decompress(codec, bytes, 5000).length).toBeLessThanOrEqual(5000)
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('framings of other producers', () => {
  const contents = Buffer.alloc(200_000, 'record')

  test('Snappy in Xerial’s blocks, as the Java client writes it, is decompressed', () => {
    const blocks = [contents.subarray(0, 32_768), contents.subarray(32_768)].map(each => {
      const block = compressionsAlgorithms.snappy.compressSync(each)
      const length = Buffer.alloc(4)
      length.writeInt32BE(block.length)
      return Buffer.concat([length, block])
    })
    const header = Buffer.from('82534e41505059000000000100000001', 'hex')
    const framed = Buffer.concat([header, ...blocks])
    expect(decompress('snappy', framed).equals(contents)).toBe(true)
    expect(() => decompress('snappy', framed.subarray(0, -1))).toThrow(DecodeError)
    expect(() => decompress('snappy', framed, contents.length - 1)).toThrow(DecodeError)
  })

  test('gzip in several members is decompressed', () => {
    const members = [contents.subarray(0, 99), contents.subarray(99)]
    const block = Buffer.concat(members.map(each => zlib.gzipSync(each)))
    expect(decompress('gzip', block).equals(contents)).toBe(true)
  })

  test('a Snappy block that claims more than the bound is refused before it is opened', () => {
    expect(() => decompress('snappy', Buffer.from('ffffffff0f00', 'hex'))).toThrow(/at most/)
  })
})
