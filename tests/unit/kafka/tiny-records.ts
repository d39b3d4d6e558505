// Records without key, value and headers, seven bytes and the varint of the offset delta each: the
// most records that fit into a batch.

/**
 * The uncompressed records of a batch of `count` of them, with timestamp delta 0 and an offset of
 * `step` behind the one before.
 */
export function tinyRecords(count: number, step = 1): Buffer {
  const bytes = Buffer.alloc(count * 12)
  let at = 0
  for (let index = 0; index < count; index += 1) {
    let delta = index * step * 2
    let size = 1
    for (let rest = delta; rest > 127; rest = Math.floor(rest / 128)) size += 1
    // Length, attributes, timestamp delta.
    bytes[at++] = (5 + size) * 2
    bytes[at++] = 0
    bytes[at++] = 0
    for (; delta > 127; delta = Math.floor(delta / 128)) bytes[at++] = (delta % 128) | 128
    bytes[at++] = delta
    // Null key, null value, no headers.
    bytes[at++] = 1
    bytes[at++] = 1
    bytes[at++] = 0
  }
  return bytes.subarray(0, at)
}
