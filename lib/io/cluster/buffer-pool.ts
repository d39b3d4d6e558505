// Owns the memory that large answers are put together in: a few pieces that are used again and
// again. Without them every answer is new memory outside of V8's heap, and V8 looks through all of
// its heap again for each 30 MB of that: more than half of the processor time of a copy
// (`npm run bench`). What is never given back is collected as any other memory.

/** Smaller answers are not worth a piece that is kept. */
const KEPT_BYTES_MIN = 64 * 1024
/** Kept unused: of an answer coming in, one waiting, one on its way out, and one more. */
const KEPT_PIECES_MAX = 4

export type BufferPool = {
  /** `bytesCount` bytes that nobody else uses; their content is whatever was there before. */
  allocate(bytesCount: number): Buffer
  /**
   * Whoever calls this says that nobody reads `bytes`, or any part of the answer that they belong
   * to, ever again. What was given back before, or is too small to be kept, is left alone.
   */
  release(bytes: Buffer): void
}

export function createBufferPool(): BufferPool {
  const free: Buffer[] = []
  const lent = new WeakMap<ArrayBufferLike, Buffer>()
  return {
    allocate(bytesCount) {
      if (bytesCount < KEPT_BYTES_MIN) return Buffer.allocUnsafe(bytesCount)
      // One more than twice as large would be wasted on a small answer while it waits.
      const at = free.findIndex(
        ({ length }) => length >= bytesCount && length <= Math.max(2 * bytesCount, KEPT_BYTES_MIN),
      )
      const rounded = Math.ceil(bytesCount / KEPT_BYTES_MIN) * KEPT_BYTES_MIN
      const [piece = Buffer.allocUnsafeSlow(rounded)] = at < 0 ? [] : free.splice(at, 1)
      lent.set(piece.buffer, piece)
      return piece.subarray(0, bytesCount)
    },
    release(bytes) {
      const piece = lent.get(bytes.buffer)
      if (piece === undefined) return
      lent.delete(bytes.buffer)
      free.push(piece)
      if (free.length > KEPT_PIECES_MAX) free.shift()
    },
  }
}
