// Owns compressing and decompressing the records of a batch. The decompressed size is bounded
// before memory is allocated for it. Does not own the records inside (record.ts, legacy-batch.ts).
//
// gzip and zstd are Node's own, which take a bound. Snappy and LZ4 are the client library's, which
// take none, so the size is computed from the block first: a Snappy block begins with its size, and
// an LZ4 frame tells how large its blocks may be.
//
// Source: Kafka's SnappyInputStream (Xerial's framing, or none), Lz4BlockInputStream; the format
// descriptions of Snappy ("format_description.txt") and LZ4 ("lz4_Frame_format.md").

import zlib from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import { DecodeError } from './decode-error.ts'
import type { CompressionCodec } from './record-batch-layout.ts'
import { createWireReader } from './wire-reader.ts'

/**
 * Bytes. A batch has at most 1 MiB unless max.message.bytes was raised. The bound is 128 times as
 * much and still fits into the memory of a function.
 */
export const decompressedBytesMax = 128 * 2 ** 20

/** Throws DecodeError when the bytes are damaged, or exceed `bytesMax` once decompressed. */
export function decompress(
  codec: CompressionCodec,
  bytes: Buffer,
  bytesMax = decompressedBytesMax,
): Buffer {
  const options = { maxOutputLength: bytesMax }
  try {
    switch (codec) {
      case 'none':
        return bytes
      case 'gzip':
        return zlib.gunzipSync(bytes, options)
      case 'zstd':
        return zlib.zstdDecompressSync(bytes, options)
      case 'snappy':
        checkSize(codec, snappySize(bytes), bytesMax)
        return compressionsAlgorithms.snappy.decompressSync(bytes)
      case 'lz4':
        checkSize(codec, lz4SizeMax(bytes), bytesMax)
        return compressionsAlgorithms.lz4.decompressSync(bytes)
    }
  } catch (error) {
    if (error instanceof DecodeError) throw error
    // Every error of these libraries (of zlib, a trap of WebAssembly) is caused by the bytes, which
    // are their only input.
    throw damaged(codec, error instanceof Error ? error.message : String(error))
  }
}

/** The same bytes give the same result. Snappy is written without Xerial's framing. */
export function compress(codec: CompressionCodec, bytes: Buffer): Buffer {
  return compressionsAlgorithms[codec].compressSync(bytes)
}

function checkSize(codec: CompressionCodec, size: number, bytesMax: number): void {
  if (size > bytesMax) throw damaged(codec, `${size} bytes inside, at most ${bytesMax} are opened`)
}

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
/** Magic, version and oldest compatible version. */
const XERIAL_HEADER_BYTES = 16

/** The decompressed size in bytes: the sum of the sizes at the head of each block. */
function snappySize(bytes: Buffer): number {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return snappyBlockSize(bytes)
  const reader = createWireReader({ api: 'Snappy', version: 1, bytes })
  reader.skipBytes('header', XERIAL_HEADER_BYTES)
  let size = 0
  // Ends: every block takes at least the four bytes of its length.
  while (reader.position < bytes.length) {
    size += snappyBlockSize(reader.readBytes('block', reader.readInt32('blockLength')))
  }
  return size
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
  throw damaged('snappy', 'a block that does not say its size')
}

const LZ4_MAGIC = 0x184d2204
/** A byte of a compressed block becomes at most 255 bytes. */
const LZ4_RATIO_MAX = 255
const LZ4_UNCOMPRESSED_BIT = 0x8000_0000

/** The largest decompressed size, in bytes, that the blocks of all frames allow. */
function lz4SizeMax(bytes: Buffer): number {
  const reader = createWireReader({ api: 'LZ4', version: 1, bytes })
  const readUInt32 = (field: string) => reader.readBytes(field, 4).readUInt32LE()
  let size = 0
  // Both loops end: a frame and a block have at least four bytes each (magic, length).
  while (reader.position < bytes.length) {
    const magic = readUInt32('magic')
    if (magic !== LZ4_MAGIC) throw damaged('lz4', `a frame that begins with ${magic}`)
    const flags = reader.readInt8('flags')
    const sizeCode = (reader.readInt8('blockDescriptor') >> 4) & 0x07
    if (sizeCode < 4) throw damaged('lz4', `blocks of size code ${sizeCode}, not 4 to 7`)
    const blockMax = 2 ** (8 + 2 * sizeCode)
    const has = (bit: number) => (flags & bit) !== 0
    reader.skipBytes('contentSize, dictionaryId', (has(0x08) ? 8 : 0) + (has(0x01) ? 4 : 0))
    reader.skipBytes('headerChecksum', 1)
    for (;;) {
      const encoded = readUInt32('blockLength')
      if (encoded === 0) break
      const length = encoded % LZ4_UNCOMPRESSED_BIT
      size += Math.min(blockMax, encoded === length ? length * LZ4_RATIO_MAX : length)
      reader.skipBytes('block', length + (has(0x10) ? 4 : 0))
    }
    reader.skipBytes('contentChecksum', has(0x04) ? 4 : 0)
  }
  return size
}

function damaged(codec: CompressionCodec, found: string): DecodeError {
  return new DecodeError({
    api: 'RecordBatch',
    version: 2,
    field: `${codec} records`,
    at: 0,
    found,
  })
}
