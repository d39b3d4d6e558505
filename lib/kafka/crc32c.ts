// Owns CRC-32C (Castagnoli), the checksum of a v2 record batch: polynomial 0x1EDC6F41, reflected,
// start value and final XOR 0xFFFFFFFF (RFC 3720, Apache Kafka's Crc32C class). Does not own the
// checksum of a batch whose header changed (crc32c-patch.ts).
//
// A table in plain JavaScript is enough: a batch that is produced unchanged is read for 40 header
// bytes and never for its payload, and a native call costs more than that work.

/**
 * The polynomial with its bits reversed, as every table-driven, least-significant-bit-first CRC
 * uses it.
 */
export const CASTAGNOLI_REVERSED = 0x82f63b78

const SLICES = 8
const BYTE_VALUES = 256

// Row 0 is the classic one-byte table; row k is the table of one byte followed by k zero bytes.
// With eight rows, the loop below takes eight independent bytes per step ("slicing-by-8", Kounavis
// and Berry 2005).
const table = buildTable()

function buildTable(): Uint32Array {
  const rows = new Uint32Array(SLICES * BYTE_VALUES)
  for (let value = 0; value < BYTE_VALUES; value++) {
    let crc = value
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ CASTAGNOLI_REVERSED : crc >>> 1
    }
    rows[value] = crc
  }
  for (let index = BYTE_VALUES; index < rows.length; index++) {
    const previous = rows[index - BYTE_VALUES] ?? 0
    rows[index] = (previous >>> 8) ^ (rows[previous & 0xff] ?? 0)
  }
  return rows
}

/**
 * `at` is always below the length; the fallback only satisfies the compiler, at no measurable cost.
 */
function entry(at: number): number {
  return table[at] ?? 0
}

/**
 * The CRC-32C of `bytes[start, end)`, as an unsigned 32-bit number.
 *
 * `seed` is the CRC-32C of the bytes in front, when one checksum covers several pieces:
 * `crc32c(b, 0, b.length, crc32c(a, 0, a.length))` is the CRC-32C of `a` followed by `b`.
 * Throws RangeError unless 0 <= start <= end <= bytes.length.
 */
export function crc32c(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  if (start < 0 || end < start || end > bytes.length) {
    throw new RangeError(`crc32c of [${start}, ${end}) in ${bytes.length} bytes`)
  }
  let crc = ~seed
  let at = start
  for (const lastSlice = end - SLICES; at <= lastSlice; at += SLICES) {
    crc ^=
      byte(bytes, at) |
      (byte(bytes, at + 1) << 8) |
      (byte(bytes, at + 2) << 16) |
      (byte(bytes, at + 3) << 24)
    crc =
      entry(0x700 | (crc & 0xff)) ^
      entry(0x600 | ((crc >>> 8) & 0xff)) ^
      entry(0x500 | ((crc >>> 16) & 0xff)) ^
      entry(0x400 | (crc >>> 24)) ^
      entry(0x300 | byte(bytes, at + 4)) ^
      entry(0x200 | byte(bytes, at + 5)) ^
      entry(0x100 | byte(bytes, at + 6)) ^
      entry(byte(bytes, at + 7))
  }
  for (; at < end; at++) {
    crc = (crc >>> 8) ^ entry((crc ^ byte(bytes, at)) & 0xff)
  }
  return ~crc >>> 0
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}
