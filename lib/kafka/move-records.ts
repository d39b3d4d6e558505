// Owns moving the records of an uncompressed batch behind those of another one: each record's
// length, timestamp delta and offset delta are rewritten, and the rest of the record is copied
// unread. Small batches come by the thousand, so nothing is allocated per record. Does not own the
// batches around the records (coalesce-plain.ts), nor decoding a record (record.ts, which has the
// layout).
//
// Source: Kafka's DefaultRecord, KIP-98.

export type Cursor = { readonly bytes: Buffer; at: number }

/** The records of a batch: `count` of them fill `bytes` from `at` to `end`. */
export type PlainRecords = {
  readonly bytes: Buffer
  readonly at: number
  readonly end: number
  readonly count: number
}

/** Zigzag doubles a delta; below this limit the result is an exact number. */
const DELTA_LIMIT = 2 ** 52

/**
 * Writes records at `to` with new deltas, and moves `to` behind them. Returns the largest timestamp
 * delta written; null when a record is malformed or, in place, would overwrite bytes not yet moved.
 * `isTrial` writes nothing, so that a failure leaves no batch half-moved.
 */
export function moveRecords(
  { bytes, at, end: recordsEnd, count }: PlainRecords,
  to: Cursor,
  deltas: { readonly shift: number; readonly indexFrom: number },
  isTrial = false,
): number | null {
  const { shift, indexFrom } = deltas
  const from: Cursor = { bytes, at }
  const isInPlace = to.bytes === bytes
  let newest = -Infinity
  for (let index = 0; index < count; index += 1) {
    const length = takeSigned(from)
    const end = from.at + length
    const attributes = bytes[from.at++] ?? 0
    const delta = takeSigned(from) + shift
    const offsetDelta = takeSigned(from)
    // Written so that NaN fails, too.
    const isWhole = offsetDelta === index && from.at < end && end <= recordsEnd
    if (!isWhole || !(Math.abs(delta) < DELTA_LIMIT)) return null
    newest = Math.max(newest, delta)
    const ownIndex = (indexFrom + index) * 2
    const ownDelta = delta < 0 ? -delta * 2 - 1 : delta * 2
    const ownLength = 1 + sizeOf(ownDelta) + sizeOf(ownIndex) + end - from.at
    const ownEnd = to.at + sizeOf(ownLength * 2) + ownLength
    if (isInPlace && ownEnd > end) return null
    if (!isTrial) {
      put(to, ownLength * 2)
      to.bytes[to.at++] = attributes
      put(to, ownDelta)
      put(to, ownIndex)
      if (isInPlace) bytes.copyWithin(to.at, from.at, end)
      else bytes.copy(to.bytes, to.at, from.at, end)
    }
    to.at = ownEnd
    from.at = end
  }
  return from.at === recordsEnd ? newest : null
}

/** A zigzag varint; NaN when it exceeds 53 bits or runs past the bytes. */
function takeSigned(cursor: Cursor): number {
  let value = 0
  let unit = 1
  // Ends: behind the last byte everything is NaN.
  for (;;) {
    const byte = cursor.bytes[cursor.at++] ?? Number.NaN
    value += (byte % 128) * unit
    if (!(value <= Number.MAX_SAFE_INTEGER)) return Number.NaN
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    unit *= 128
  }
}

function sizeOf(value: number): number {
  let size = 1
  // Ends: a number below 2^53 has at most eight bytes of seven bits.
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size += 1
  return size
}

function put(cursor: Cursor, value: number): void {
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) {
    cursor.bytes[cursor.at++] = (rest % 128) | 0x80
  }
  cursor.bytes[cursor.at++] = rest
}
