import zlib from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compress, decompress } from '../../../lib/kafka/compression.ts'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { codecs } from './record-bytes.ts'

// Made at once: the library throws for empty input as soon as its WebAssembly memory has grown.
const emptyFrames = {
  lz4: compress('lz4', Buffer.alloc(0)),
  zstd: compress('zstd', Buffer.alloc(0)),
}

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

/** Frames that hold nothing, which the formats of LZ4 and zstd allow between frames. */
const skippable = fc.tuple(fc.nat(15), fc.uint8Array({ maxLength: 40 })).map(([kind, content]) => {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184d2a50 + kind, 0)
  head.writeUInt32LE(content.length, 4)
  return { content: Buffer.alloc(0), frame: Buffer.concat([head, content]) }
})

/** A stream of Xerial's framing with one block, header included. */
function xerial(content: Buffer): Buffer {
  const block = compress('snappy', content)
  const length = Buffer.alloc(4)
  length.writeInt32BE(block.length)
  return Buffer.concat([Buffer.from('82534e41505059000000000100000001', 'hex'), length, block])
}

const framed = ['gzip', 'lz4', 'zstd', 'snappy'] as const

describe.each(framed)('frames of %s that follow each other', codec => {
  const frame = fc
    .tuple(fc.integer({ min: 1, max: 3000 }), fc.nat(255))
    .map(([size, seed]) => Buffer.alloc(size, Uint8Array.from([seed, 1, seed ^ 0x55, 7])))
    .map(content => {
      return { content, frame: codec === 'snappy' ? xerial(content) : compress(codec, content) }
    })
  const isSkipping = codec === 'lz4' || codec === 'zstd'
  const frames = fc.array(isSkipping ? fc.oneof(frame, skippable) : frame, {
    minLength: 1,
    maxLength: 6,
  })
  const whole = (parts: readonly { frame: Buffer }[]) =>
    Buffer.concat(parts.map(each => each.frame))
  const contents = (parts: readonly { content: Buffer }[]) =>
    Buffer.concat(parts.map(each => each.content))

  test('all of them are decompressed, whatever their number and sizes', () => {
    fc.assert(
      fc.property(frames, parts => {
        expect(decompress(codec, whole(parts)).equals(contents(parts))).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test('the bound counts all of them', () => {
    fc.assert(
      fc.property(frames, parts => {
        const size = contents(parts).length
        fc.pre(size > 1)
        expect(() => decompress(codec, whole(parts), size - 1)).toThrow(DecodeError)
        if (codec !== 'lz4') expect(decompress(codec, whole(parts), size)).toHaveLength(size)
      }),
      { numRuns: 100 },
    )
  })

  test('a cut last frame, or bytes behind it that are no frame, are refused', () => {
    const garbage = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }).map(bytes => {
        // The first byte of no format.
        return Buffer.from([0x11, ...bytes])
      }),
      fc.integer({ min: 1, max: 40 }).map(size => Buffer.alloc(size)),
    )
    fc.assert(
      fc.property(frames, frame, garbage, fc.nat(), (parts, last, tail, cut) => {
        const cutOff = last.frame.subarray(0, 1 + (cut % (last.frame.length - 1)))
        // Xerial's framing is whole behind its header, and may end there.
        const isWhole = codec === 'snappy' && cutOff.length === 16
        const ends = isWhole ? [tail] : [cutOff, tail]
        for (const end of ends) {
          expect(() => decompress(codec, Buffer.concat([whole(parts), end]))).toThrow(DecodeError)
        }
      }),
      { numRuns: 200 },
    )
  })
})

test.each(['lz4', 'zstd'] as const)(
  'thousands of empty frames of %s are refused, because each takes time',
  codec => {
    const many = Buffer.concat(Array.from({ length: 5000 }, () => emptyFrames[codec]))
    expect(() => decompress(codec, many)).toThrow(/more than 1024 frames/)
  },
)
