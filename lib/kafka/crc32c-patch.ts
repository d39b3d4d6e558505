// Owns the one piece of arithmetic that lets a batch be passed through unread: the CRC-32C of a
// byte string after some of its bytes changed, from the old CRC and the changed bytes alone. Does
// not own the checksum itself (crc32c.ts) nor which bytes change (record-batch.ts).
//
// Why it works. Read a byte string as a polynomial over GF(2). Apart from its start value and final
// XOR, a CRC is the remainder of that polynomial modulo P, and taking a remainder is linear:
// addition is XOR, so
//
//     crc(A) ^ crc(B) = remainder(A ^ B)          for A and B of the same length
//
// (start value and final XOR are the same in both and cancel out). Let a batch be `region | rest`
// and let only the region change: A ^ B is then `regionA ^ regionB` followed by `n` zero bytes,
// where n is the length of the rest, and n zero bytes behind a polynomial multiply it by x^(8n).
// Hence
//
//     crc(new) = crc(old) ^ (crc(regionOld) ^ crc(regionNew)) * x^(8n) mod P
//
// The rest is not read, and not trusted either: if it was damaged on the way, the old CRC no longer
// fitted it, and the new one misses by exactly the same difference. The receiving broker still
// refuses it.
//
// This is zlib's crc32_combine, with Castagnoli's polynomial.

import { CASTAGNOLI_REVERSED } from './crc32c.ts'

/** The polynomial 1 (x^0). Bits are reversed: the highest bit of the word is the lowest power. */
const ONE = 0x8000_0000

/** A batch's length is an int32 on the wire. */
const BYTES_MAX = 0x7fff_ffff

// squares[k] is x^(2^k) mod P, so a power of x is a product of a few of them. The highest bit of a
// length is 30, three more make bits of bytes: 34 entries. (zlib's table of 32 that starts over
// does not carry across: it rests on its polynomial being primitive, which Castagnoli's is not.)
const squares = buildSquares(34)

/**
 * Multipliers kept for lengths seen before: 16,384 slots, 128 KB, one multiplier per slot, where a
 * new length takes over the slot of an older one. A plain array instead of a Map with eviction:
 * batch lengths of one topic are near each other, so neighbours never collide, and there is no
 * state in which it stops learning.
 */
const CACHED_LENGTHS_MAX = 16_384
const cachedLengths = new Int32Array(CACHED_LENGTHS_MAX)
const cachedShifts = new Uint32Array(CACHED_LENGTHS_MAX)
// An empty slot says "length 0", which is true in slot 0 only and correct there: x^0 is 1.
cachedShifts[0] = ONE

export type ChangedRegion = {
  /** The CRC-32C of the whole byte string before the change. */
  readonly crc: number
  /** The CRC-32C of the changed region alone, before the change. */
  readonly headerBefore: number
  /** The CRC-32C of the changed region alone, after the change; the region keeps its length. */
  readonly headerAfter: number
  /**
   * How many unchanged bytes follow the region, 0 to 2^31-1. Unchanged bytes before it do not
   * matter.
   */
  readonly bytesAfterRegion: number
}

/** The CRC-32C of the whole byte string after the change, as an unsigned 32-bit number. */
export function patchedCrc32c(changed: ChangedRegion): number {
  const difference = (changed.headerBefore ^ changed.headerAfter) >>> 0
  if (difference === 0) return changed.crc >>> 0
  return (changed.crc ^ multiply(shiftByBytes(changed.bytesAfterRegion), difference)) >>> 0
}

/** x^(8 * bytesCount) mod P: what `bytesCount` bytes behind a region multiply its remainder by. */
function shiftByBytes(bytesCount: number): number {
  if (!Number.isInteger(bytesCount) || bytesCount < 0 || bytesCount > BYTES_MAX) {
    throw new RangeError(`${bytesCount} bytes after the changed region`)
  }
  const slot = bytesCount % CACHED_LENGTHS_MAX
  const cached = cachedShifts[slot]
  if (cached !== undefined && cachedLengths[slot] === bytesCount) return cached

  let shift = ONE
  // Bit k of the byte count stands for 2^k bytes, that is x^(8 * 2^k) = x^(2^(k + 3)).
  for (let rest = bytesCount, k = 3; rest > 0; rest >>>= 1, k++) {
    if (rest & 1) shift = multiply(squares[k] ?? 0, shift)
  }
  cachedLengths[slot] = bytesCount
  cachedShifts[slot] = shift
  return shift
}

/** The product of two polynomials modulo P, by shifting and adding; 32 steps at most. */
function multiply(left: number, right: number): number {
  let product = 0
  let shifted = right
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if (left & bit) product ^= shifted
    shifted = shifted & 1 ? (shifted >>> 1) ^ CASTAGNOLI_REVERSED : shifted >>> 1
  }
  return product >>> 0
}

function buildSquares(count: number): Uint32Array {
  const powers = new Uint32Array(count)
  let power = 0x4000_0000 // x^1
  for (let k = 0; k < count; k++) {
    powers[k] = power
    power = multiply(power, power)
  }
  return powers
}
