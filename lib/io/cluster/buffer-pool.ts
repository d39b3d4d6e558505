// Owns the buffers in which large responses are assembled: a few that are used again and again.
// Without the pool every response is new memory outside of V8's heap, and V8 marks its whole heap
// for each 30 MB of such memory, which took more than half of the processor time of a copy
// (`npm run bench`). A buffer that is never released is collected like any other memory.

/** A smaller response gets memory of its own, and none is kept for it. */
const KEPT_BYTES_MIN = 64 * 1024
/** Free buffers kept: for a response coming in, one queued, one on its way out, and one more. */
const KEPT_PIECES_MAX = 4

export type BufferPool = {
  /** Returns `bytesCount` bytes for the caller alone, with the content of an earlier use. */
  allocate(bytesCount: number): Buffer
  /**
   * Makes the buffer that `bytes` is part of available again. The caller guarantees that no part
   * of it is read any more: the next response overwrites it. Ignores a buffer that was released
   * before and one that is too small to be kept.
   */
  release(bytes: Buffer): void
}

export function createBufferPool(): BufferPool {
  const free: Buffer[] = []
  const lent = new WeakMap<ArrayBufferLike, Buffer>()
  return {
    allocate(bytesCount) {
      if (bytesCount < KEPT_BYTES_MIN) return Buffer.allocUnsafe(bytesCount)
      // A buffer more than twice as large would be wasted on a small response.
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
