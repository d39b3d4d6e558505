// Owns reading Kafka's primitive types with one failure mode: for any bytes, a reader returns a
// value or throws DecodeError. Does not own any layout (00-produce.ts, 01-fetch.ts,
// record-batch.ts).
//
// The client library's Reader is not used because it reads beyond the end of its chunks (a
// TypeError or garbage), trusts array counts and lengths, and looks up its chunk for every field.
// Here a response is one Buffer (io/cluster/framed-socket.ts), and every length is compared with
// the bytes left before it is used.
//
// Source: "Protocol primitive types" in Kafka's protocol guide; KIP-482 for compact types and
// tagged fields.

import { DecodeError } from './decode-error.ts'

/** An unsigned varint of 32 bits has at most five bytes of seven bits, a 64-bit one ten. */
const VARINT_BYTES_MAX = 5
const VARLONG_BYTES_MAX = 10
const TOPIC_ID_BYTES = 16

export type WireBytes = {
  /** The structure that is read, for the error: `Fetch`, `RecordBatch`. */
  readonly api: string
  readonly version: number
  readonly bytes: Buffer
  /** Where to begin, in bytes. Errors name positions from the start of `bytes`. */
  readonly at?: number
}

/**
 * Every read names its field, in Kafka's spelling, for the error. The position only moves forward.
 * Every method throws DecodeError when the bytes do not hold a value of its type.
 */
export type WireReader = {
  /** The index of the next byte to read. */
  readonly position: number
  readInt8(field: string): number
  readInt16(field: string): number
  readInt32(field: string): number
  readInt64(field: string): bigint
  /** INT64; null for -1 and every other negative value. */
  readInt64OrNull(field: string): bigint | null
  /** VARINT: a zigzag number of 32 bits. */
  readVarint(field: string): number
  /** VARLONG: a zigzag number of 64 bits. */
  readVarlong(field: string): bigint
  skipVarlong(field: string): void
  skipBytes(field: string, bytesCount: number): void
  /** A view, not a copy; `bytesCount` may come straight from the wire. */
  readBytes(field: string, bytesCount: number): Buffer
  /** COMPACT_NULLABLE_BYTES or COMPACT_RECORDS, as a view. */
  readCompactBytes(field: string): Buffer | null
  readCompactString(field: string): string | null
  /**
   * UUID as 36 characters: lower-case hexadecimal with dashes, which is the client library's form.
   */
  readTopicId(field: string): string
  /**
   * COMPACT_ARRAY; null and empty are both `[]`. `elementBytesMin` is the size of the smallest
   * element on the wire. A count that does not fit into the bytes left throws before any
   * allocation.
   */
  readCompactArray<T>(field: string, elementBytesMin: number, readElement: () => T): T[]
  /**
   * Reads a tagged field section (KIP-482). `readKnown` reads the tags it knows; other tags are
   * skipped.
   */
  readTaggedFields(field: string, readKnown?: (tag: number) => void): void
  /**
   * Throws when bytes are left behind the last field, because the layout is another one then.
   */
  expectEnd(): void
}

export function createWireReader(source: WireBytes): WireReader {
  const { api, version, bytes } = source
  let position = source.at ?? 0

  function fail(field: string, at: number, found: string): DecodeError {
    return new DecodeError({ api, version, field, at, found })
  }

  /** Moves the position by `bytesCount` bytes and returns where they begin. */
  function take(field: string, bytesCount: number): number {
    const left = bytes.length - position
    if (bytesCount < 0) throw fail(field, position, `a length of ${bytesCount}`)
    if (bytesCount > left) {
      throw fail(field, position, `${bytesCount} bytes expected, ${left} left`)
    }
    const start = position
    position += bytesCount
    return start
  }

  function readUnsignedVarint(field: string): number {
    const start = position
    let value = 0
    for (let index = 0; index < VARINT_BYTES_MAX; index++) {
      const byte = bytes.readUInt8(take(field, 1))
      // A multiplication, because a shift of the fifth byte would reach the sign bit.
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) return value
    }
    throw fail(field, start, `a varint of more than ${VARINT_BYTES_MAX} bytes`)
  }

  /** A compact length or count is encoded plus one; 0 means null. */
  function readCompactLength(field: string): number | null {
    const encoded = readUnsignedVarint(field)
    return encoded === 0 ? null : encoded - 1
  }

  function readBytes(field: string, bytesCount: number): Buffer {
    const start = take(field, bytesCount)
    return bytes.subarray(start, position)
  }

  function readCompactBytes(field: string): Buffer | null {
    const length = readCompactLength(field)
    return length === null ? null : readBytes(field, length)
  }

  function readInt64(field: string): bigint {
    return bytes.readBigInt64BE(take(field, 8))
  }

  return {
    get position() {
      return position
    },
    readInt8: field => bytes.readInt8(take(field, 1)),
    readInt16: field => bytes.readInt16BE(take(field, 2)),
    readInt32: field => bytes.readInt32BE(take(field, 4)),
    readInt64,
    readInt64OrNull(field) {
      const value = readInt64(field)
      return value < 0n ? null : value
    },
    readVarint(field) {
      const start = position
      const zigzag = readUnsignedVarint(field)
      if (zigzag > 0xffff_ffff) throw fail(field, start, 'a varint of more than 32 bits')
      return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
    },
    readVarlong(field) {
      const start = position
      // Seven bytes are 49 bits, which a number holds exactly; only longer varlongs need a bigint.
      let low = 0
      let high = 0n
      for (let index = 0; index < VARLONG_BYTES_MAX; index++) {
        const byte = bytes.readUInt8(take(field, 1))
        if (index < 7) low += (byte & 0x7f) * 2 ** (7 * index)
        else high += BigInt(byte & 0x7f) << BigInt(7 * index)
        if (byte < 0x80) {
          const zigzag = BigInt.asUintN(64, BigInt(low) + high)
          return (zigzag >> 1n) ^ -(zigzag & 1n)
        }
      }
      throw fail(field, start, `a varlong of more than ${VARLONG_BYTES_MAX} bytes`)
    },
    skipVarlong(field) {
      const start = position
      for (let index = 0; index < VARLONG_BYTES_MAX; index++) {
        if (bytes.readUInt8(take(field, 1)) < 0x80) return
      }
      throw fail(field, start, `a varlong of more than ${VARLONG_BYTES_MAX} bytes`)
    },
    skipBytes(field, bytesCount) {
      take(field, bytesCount)
    },
    readBytes,
    readCompactBytes,
    readCompactString: field => readCompactBytes(field)?.toString('utf8') ?? null,
    readTopicId(field) {
      const hex = readBytes(field, TOPIC_ID_BYTES).toString('hex')
      const [a, b, c, d] = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
      return `${a}-${b}-${c}-${d}-${hex.slice(20)}`
    },
    readCompactArray(field, elementBytesMin, readElement) {
      const start = position
      const count = readCompactLength(field) ?? 0
      const left = bytes.length - position
      if (count * elementBytesMin > left) {
        throw fail(field, start, `${count} elements do not fit into ${left} bytes`)
      }
      const elements = []
      for (let index = 0; index < count; index++) elements.push(readElement())
      return elements
    },
    readTaggedFields(field, readKnown) {
      // Ends: each field takes at least two bytes.
      for (let left = readUnsignedVarint(field); left > 0; left--) {
        const tag = readUnsignedVarint(field)
        const size = readUnsignedVarint(field)
        const start = take(field, size)
        const end = position
        position = start
        readKnown?.(tag)
        if (position > end) throw fail(field, start, `tag ${tag} is longer than its ${size} bytes`)
        position = end
      }
    },
    expectEnd() {
      if (position < bytes.length) {
        throw fail('end', position, `${bytes.length - position} bytes behind the last field`)
      }
    },
  }
}
