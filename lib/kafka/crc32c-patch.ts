// Owns the arithmetic that lets a batch be produced without reading its payload: the CRC-32C of a
// byte string after some of its bytes changed, from the old CRC and the changed bytes alone. Does
// not own the checksum itself (crc32c.ts), nor which bytes change (produce-stamp.ts).
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
// The rest is neither read nor trusted. If it was damaged on the way, the old CRC does not match
// it, and the new CRC misses by the same difference, so the receiving broker still refuses the
// batch.
//
// This is zlib's crc32_combine, with Castagnoli's polynomial.

import { CASTAGNOLI_REVERSED } from './crc32c.ts'

/** The polynomial 1 (x^0). Bits are reversed: the highest bit of the word is the lowest power. */
const ONE = 0x8000_0000

/** A batch's length is an int32 on the wire. */
const BYTES_MAX = 0x7fff_ffff

// squares[k] is x^(2^k) mod P, so a power of x is a product of a few of them. The highest bit of a
// length is 30, and bits are bytes times 2^3: 34 entries. zlib's table of 32 entries that repeats
// does not work here: it relies on a primitive polynomial, and Castagnoli's is not primitive.
const squares = buildSquares(34)

/**
 * Multipliers of lengths seen before: 16,384 slots, 128 KB. A new length replaces the older one in
 * its slot. An array instead of a Map with eviction, because batch lengths of one topic are near
 * each other and so rarely share a slot.
 */
const CACHED_LENGTHS_MAX = 16_384
const cachedLengths = new Int32Array(CACHED_LENGTHS_MAX)
const cachedShifts = new Uint32Array(CACHED_LENGTHS_MAX)
// An empty slot has length 0, which only slot 0 can match, and there x^0 = 1 is correct.
cachedShifts[0] = ONE

export type ChangedRegion = {
  /** The CRC-32C of the whole byte string before the change. */
  readonly crc: number
  /** The CRC-32C of the changed region alone, before the change. */
  readonly headerBefore: number
  /** The CRC-32C of the changed region alone, after the change; the region keeps its length. */
  readonly headerAfter: number
  /**
   * The number of unchanged bytes behind the region, 0 to 2^31-1. Bytes in front do not matter.
   */
  readonly bytesAfterRegion: number
}

/**
 * Returns the CRC-32C of the whole byte string after the change, 0 to 2^32-1. Throws RangeError
 * when `bytesAfterRegion` is out of its range.
 */
export function patchedCrc32c(changed: ChangedRegion): number {
  const difference = (changed.headerBefore ^ changed.headerAfter) >>> 0
  if (difference === 0) return changed.crc >>> 0
  return (changed.crc ^ multiply(shiftByBytes(changed.bytesAfterRegion), difference)) >>> 0
}

/** x^(8 * bytesCount) mod P: the factor for a region with `bytesCount` bytes behind it. */
function shiftByBytes(bytesCount: number): number {
  if (!Number.isInteger(bytesCount) || bytesCount < 0 || bytesCount > BYTES_MAX) {
    throw new RangeError(`${bytesCount} bytes after the changed region`)
  }
  const slot = bytesCount % CACHED_LENGTHS_MAX
  const cached = cachedShifts[slot]
  if (cached !== undefined && cachedLengths[slot] === bytesCount) return cached

  let shift = ONE
  // Bit k of the byte count is worth 2^k bytes, that is x^(8 * 2^k) = x^(2^(k + 3)).
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
