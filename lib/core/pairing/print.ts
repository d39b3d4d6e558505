// Owns fingerprints: numbers of 53 bits that stand for the bytes of a field, or for a whole record.
// An audit needs them only where both logs differ, to find the place where they agree again, and
// for digests. Records in step are compared by their bytes. Does not own which bytes those are
// (opened-batch.ts).
//
// Two multiplicative hashes of 32 bits (as in MurmurHash's mixing), of which 53 bits are kept: a
// number of JavaScript holds them exactly. They guard against chance and not against a person who
// looks for two inputs with one fingerprint.

const FIRST_SEED = 0x9e37_79b1
const SECOND_SEED = 0x85eb_ca77
const FIRST_FACTOR = 0xcc9e_2d51
const SECOND_FACTOR = 0x1b87_3593

/** The fingerprint of the bytes `[from, to)`. */
export function printOf(bytes: Buffer, from: number, to: number): number {
  let first = FIRST_SEED ^ (to - from)
  let second = SECOND_SEED ^ (to - from)
  let at = from
  for (; at + 4 <= to; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)
    first = Math.imul(rotate(first ^ word), FIRST_FACTOR)
    second = Math.imul(rotate(second + word), SECOND_FACTOR) ^ first
  }
  for (; at < to; at += 1) {
    first = Math.imul(rotate(first ^ (bytes[at] ?? 0)), FIRST_FACTOR)
    second = Math.imul(rotate(second + (bytes[at] ?? 0)), SECOND_FACTOR) ^ first
  }
  return joined(first, second)
}

/** The fingerprint of several fingerprints in their order. */
export function printOfAll(prints: readonly number[]): number {
  let first = FIRST_SEED
  let second = SECOND_SEED
  for (const print of prints) {
    const [low, high] = [print | 0, Math.floor(print / 2 ** 32)]
    first = Math.imul(rotate(first ^ low), FIRST_FACTOR) ^ high
    second = Math.imul(rotate(second + high), SECOND_FACTOR) ^ Math.imul(low, FIRST_FACTOR)
  }
  return joined(first, second)
}

function rotate(word: number): number {
  return (word << 15) | (word >>> 17)
}

function joined(first: number, second: number): number {
  let [low, high] = [first, second]
  low = Math.imul(low ^ (low >>> 16), SECOND_SEED) ^ Math.imul(high ^ (high >>> 13), FIRST_SEED)
  high = Math.imul(high ^ (high >>> 16), SECOND_SEED) ^ Math.imul(low ^ (low >>> 13), FIRST_SEED)
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}
