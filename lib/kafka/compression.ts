// Owns compressing and decompressing the records of a batch. The decompressed size is bounded
// before memory is allocated for it. Does not own the records inside (record.ts, legacy-batch.ts).
//
// A producer writes the records as one frame, but each format lets frames follow each other:
// members of gzip, frames of zstd and LZ4, streams of Xerial's framing. Consumers differ in what
// they read of a second frame (Kafka's LZ4 reader ignores it, the one of zstd-jni reads on). Here
// every frame is decompressed, and a byte that belongs to none is an error, because records of a
// frame that nobody read would be missing on the standby without a word.
//
// gzip and zstd are Node's own, which take a bound. Snappy and LZ4 are the client library's, which
// take none, so the size is told from the frames first (compressed-frames.ts).
//
// Source: Kafka's Lz4BlockInputStream, ZstdCompression, GzipInputStream, SnappyInputStream
// (Xerial's framing, or none).

import zlib from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import { damagedFrame, framesMax, lz4Frames, snappyBlocks } from './compressed-frames.ts'
import { DecodeError } from './decode-error.ts'
import type { CompressionCodec } from './record-batch-layout.ts'

/**
 * Bytes. A batch has at most 1 MiB unless max.message.bytes was raised. The bound is 64 times as
 * much and still fits into the memory of a function.
 */
export const decompressedBytesMax = 64 * 2 ** 20

/**
 * Decompresses all frames. Throws DecodeError when the bytes are damaged, hold more than
 * `framesMax` frames, or exceed `bytesMax` once decompressed.
 */
export function decompress(
  codec: CompressionCodec,
  bytes: Buffer,
  bytesMax = decompressedBytesMax,
): Buffer {
  try {
    switch (codec) {
      case 'none':
        return bytes
      case 'gzip':
        return inflateAll(codec, bytes, bytesMax, zlib.gunzipSync)
      case 'zstd':
        return inflateAll(codec, bytes, bytesMax, zlib.zstdDecompressSync)
      case 'snappy':
        return openAll(codec, snappyBlocks(bytes), bytesMax)
      case 'lz4':
        return openAll(codec, lz4Frames(bytes), bytesMax)
    }
  } catch (error) {
    if (error instanceof DecodeError) throw error
    // Every error of these libraries (of zlib, a trap of WebAssembly) is caused by the bytes, which
    // are their only input.
    throw damagedFrame(codec, error instanceof Error ? error.message : String(error))
  }
}

/** The same bytes give the same result. Snappy is written without Xerial's framing. */
export function compress(codec: CompressionCodec, bytes: Buffer): Buffer {
  return compressionsAlgorithms[codec].compressSync(bytes)
}

/** What Node answers with `info`; its types know only the bytes. */
type Inflated = { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } }

/**
 * Calls `inflate`, which ends behind a frame of its own choice, until no byte is left. Node's zstd
 * steps over skippable frames itself.
 */
function inflateAll(
  codec: CompressionCodec,
  bytes: Buffer,
  bytesMax: number,
  inflate: (bytes: Buffer, options: zlib.ZlibOptions & zlib.ZstdOptions) => Buffer,
): Buffer {
  const parts: Buffer[] = []
  let left = bytesMax
  let at = 0
  // Ends: every pass takes at least one byte, or leaves the loop with an error.
  for (let frames = 0; at < bytes.length || frames === 0; frames += 1) {
    requireFew(codec, frames)
    // Node takes no bound of 0 bytes.
    const options = { maxOutputLength: Math.max(left, 1), info: true }
    const inflated = inflate(bytes.subarray(at), options) as unknown as Inflated
    const { bytesWritten: bytesRead } = inflated.engine
    if (bytesRead <= 0) throw damagedFrame(codec, `no frame at byte ${at}`)
    left -= inflated.buffer.length
    requireSize(codec, bytesMax - left, bytesMax)
    parts.push(inflated.buffer)
    at += bytesRead
  }
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}

/** Decompresses parts whose sizes, or bounds of them, are known. */
function openAll(
  codec: 'lz4' | 'snappy',
  parts: Iterable<{ readonly bytes: Buffer; readonly sizeMax: number }>,
  bytesMax: number,
): Buffer {
  const compressed = [...parts]
  const sizeMax = compressed.reduce((sum, part) => sum + part.sizeMax, 0)
  requireSize(codec, sizeMax, bytesMax)
  const opened = compressed.map(part => compressionsAlgorithms[codec].decompressSync(part.bytes))
  const [only] = opened
  return opened.length === 1 && only !== undefined ? only : Buffer.concat(opened)
}

function requireFew(codec: CompressionCodec, frames: number): void {
  if (frames >= framesMax) throw damagedFrame(codec, `more than ${framesMax} frames`)
}

function requireSize(codec: CompressionCodec, size: number, bytesMax: number): void {
  if (size <= bytesMax) return
  throw damagedFrame(codec, `${size} bytes inside, at most ${bytesMax} are opened`)
}
