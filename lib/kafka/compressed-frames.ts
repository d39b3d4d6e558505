// Owns the frames inside of a compressed block: where each one begins and ends, and how large it
// may become. Does not own decompressing them (compression.ts).
//
//   LZ4      magic 0x184D2204 | flags INT8 | block descriptor INT8 | content size, dictionary id
//            | header checksum | [ block length UINT32 | block | checksum ] | 0 | checksum
//   skipped  magic 0x184D2A50 to 0x184D2A5F | size UINT32 | bytes; legal between frames of LZ4 and
//            zstd, and without content
//   Xerial   magic, version, oldest compatible version: 16 bytes | [ block length INT32 | block ]
//            the 16 bytes may come again in front of every block, where streams were concatenated
//   Snappy   the size of the content as an unsigned varint | content
//
// Source: "lz4_Frame_format.md", "zstd_compression_format.md" (skippable frames), Snappy's
// "format_description.txt", snappy-java's SnappyInputStream.

import { DecodeError } from './decode-error.ts'
import type { CompressionCodec } from './record-batch-layout.ts'
import { createWireReader } from './wire-reader.ts'

/**
 * Frames of one block. Producers write one; a frame of zstd takes 60 µs however small it is, and
 * 1 MiB has room for a hundred thousand.
 */
export const framesMax = 1024

/** A part that is decompressed by itself; `sizeMax` bounds the bytes that it becomes. */
export type CompressedPart = { readonly bytes: Buffer; readonly sizeMax: number }

const SKIPPABLE_MAGIC = 0x184d2a50
const SKIPPABLE_HEADER_BYTES = 8

/** The end of the skippable frame at byte `at`; null: another frame begins there, or none. */
function skippableEnd(bytes: Buffer, at: number): number | null {
  if (bytes.length - at < SKIPPABLE_HEADER_BYTES) return null
  // The last four bits are free.
  const magic = bytes.readUInt32LE(at)
  if (magic - (magic % 16) !== SKIPPABLE_MAGIC) return null
  const end = at + SKIPPABLE_HEADER_BYTES + bytes.readUInt32LE(at + 4)
  if (end > bytes.length) throw damagedFrame('lz4', `a skippable frame that ends at byte ${end}`)
  return end
}

const LZ4_MAGIC = 0x184d2204
/** A byte of a compressed block becomes at most 255 bytes. */
const LZ4_RATIO_MAX = 255
const LZ4_UNCOMPRESSED_BIT = 0x8000_0000

/** Every frame with content. Throws DecodeError for a frame without an end, and for other bytes. */
export function* lz4Frames(bytes: Buffer): Generator<CompressedPart> {
  const reader = createWireReader({ api: 'LZ4', version: 1, bytes })
  let frames = 0
  // Ends: every pass moves on by the eight bytes of a header at least. Content needs one frame.
  while (reader.position < bytes.length || frames === 0) {
    frames += 1
    if (frames > framesMax) throw damagedFrame('lz4', `more than ${framesMax} frames`)
    const start = reader.position
    const skipTo = skippableEnd(bytes, start)
    if (skipTo !== null) reader.skipBytes('skippableFrame', skipTo - start)
    else {
      const sizeMax = skipLz4Frame(reader)
      yield { bytes: bytes.subarray(start, reader.position), sizeMax }
    }
  }
}

/** Moves behind a frame, and returns the largest size that its blocks allow, in bytes. */
function skipLz4Frame(reader: ReturnType<typeof createWireReader>): number {
  const readUInt32 = (field: string) => reader.readBytes(field, 4).readUInt32LE()
  const magic = readUInt32('magic')
  if (magic !== LZ4_MAGIC) throw damagedFrame('lz4', `a frame that begins with ${magic}`)
  const flags = reader.readInt8('flags')
  const sizeCode = (reader.readInt8('blockDescriptor') >> 4) & 0x07
  if (sizeCode < 4) throw damagedFrame('lz4', `blocks of size code ${sizeCode}, not 4 to 7`)
  const blockMax = 2 ** (8 + 2 * sizeCode)
  const has = (bit: number) => (flags & bit) !== 0
  reader.skipBytes('contentSize, dictionaryId', (has(0x08) ? 8 : 0) + (has(0x01) ? 4 : 0))
  reader.skipBytes('headerChecksum', 1)
  let size = 0
  // Ends: a block has at least the four bytes of its length.
  for (;;) {
    const encoded = readUInt32('blockLength')
    if (encoded === 0) break
    const length = encoded % LZ4_UNCOMPRESSED_BIT
    size += Math.min(blockMax, encoded === length ? length * LZ4_RATIO_MAX : length)
    reader.skipBytes('block', length + (has(0x10) ? 4 : 0))
  }
  reader.skipBytes('contentChecksum', has(0x04) ? 4 : 0)
  return size
}

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

/** The blocks of Xerial's framing; without that framing, all bytes are one block. */
export function* snappyBlocks(bytes: Buffer): Generator<CompressedPart> {
  if (!startsXerial(bytes, 0)) return yield { bytes, sizeMax: snappyBlockSize(bytes) }
  const reader = createWireReader({ api: 'Snappy', version: 1, bytes })
  // Ends: every pass takes a header, or the four bytes of a length.
  while (reader.position < bytes.length) {
    if (startsXerial(bytes, reader.position)) {
      reader.skipBytes('header', XERIAL_HEADER_BYTES)
      continue
    }
    const block = reader.readBytes('block', reader.readInt32('blockLength'))
    yield { bytes: block, sizeMax: snappyBlockSize(block) }
  }
}

function startsXerial(bytes: Buffer, at: number): boolean {
  return bytes.subarray(at, at + XERIAL_MAGIC.length).equals(XERIAL_MAGIC)
}

/** An unsigned varint of at most 32 bits. */
function snappyBlockSize(block: Buffer): number {
  let size = 0
  for (let index = 0; index < 5; index++) {
    const byte = block[index]
    if (byte === undefined) break
    size += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return size
  }
  throw damagedFrame('snappy', 'a block that does not say its size')
}

export function damagedFrame(codec: CompressionCodec, found: string): DecodeError {
  return new DecodeError({
    api: 'RecordBatch',
    version: 2,
    field: `${codec} records`,
    at: 0,
    found,
  })
}
