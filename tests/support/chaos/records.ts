// Records whose content is derived from their key, so that any copy of one can be compared byte for
// byte with the record that was produced. Owns their contents, not the producers that write them.

import { createHash } from 'node:crypto'
import type { IHeaders, KafkaMessage, Message } from 'kafkajs'

/** `writer/number`; the numbers of a writer rise within each partition. */
export type RecordKey = { readonly writer: string; readonly number: number }

/** Recent, or retention would delete the records; past, so that a new timestamp is noticed. */
const firstTimestampMs = Date.now() - 3_600_000
const VALUE_BYTES_MAX = 300
const HEADERS_MAX = 3

export function keyText({ writer, number }: RecordKey): string {
  return `${writer}/${number}`
}

export function parseKey(text: string): RecordKey | null {
  const found = /^(.+)\/(\d+)$/.exec(text)
  if (found?.[1] === undefined) return null
  return { writer: found[1], number: Number(found[2]) }
}

/** The value is binary, empty or null; headers may be absent and may repeat a name. */
export function recordOf(at: RecordKey): Message {
  const key = keyText(at)
  const noise = createHash('sha512').update(key).digest()
  const length = (noise.readUInt16BE(0) % 20) * (VALUE_BYTES_MAX / 20)
  const value = noise.readUInt8(2) % 16 === 0 ? null : repeatTo(noise, length)
  const headers: IHeaders = {}
  for (let count = noise.readUInt8(3) % (HEADERS_MAX + 1); count > 0; count -= 1) {
    const bytes = noise.subarray(count * 4, count * 9)
    headers[`header-${count}`] = count === HEADERS_MAX ? [bytes, Buffer.from(key)] : bytes
  }
  const timestamp = String(firstTimestampMs + (noise.readUInt16BE(4) % 60_000))
  return { key, value, headers, timestamp }
}

/** A hash of key, value, headers in their order, and timestamp, unless the standby replaces it. */
export function fingerprintOf(
  record: Message | KafkaMessage,
  { withTimestamp = true }: { readonly withTimestamp?: boolean } = {},
): string {
  const hash = createHash('sha1')
  const add = (bytes: Buffer | string | null | undefined) => {
    // The length first: otherwise bytes could move from one field to the next without a change.
    hash.update(bytes == null ? 'null;' : `${Buffer.byteLength(bytes)};`)
    if (bytes != null) hash.update(bytes)
  }
  add(record.key)
  add(record.value)
  for (const [name, header] of Object.entries(record.headers ?? {})) {
    for (const each of Array.isArray(header) ? header : [header]) {
      add(name)
      add(each)
    }
  }
  if (withTimestamp) add(record.timestamp)
  return hash.digest('base64')
}

function repeatTo(noise: Buffer, length: number): Buffer {
  // Half noise, half zeros: compression shrinks one half and must keep the other.
  return Buffer.alloc(length).fill(noise, 0, length >> 1)
}
