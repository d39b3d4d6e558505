// Owns the bytes of one heartbeat in the form of MirrorMaker 2, so that its tools read ours and
// ours read its. Does not own where heartbeats are written (run/follow/beat.ts), nor the names of
// their topics (config/heartbeat-topic.ts).
//
//   key     source STRING | target STRING
//   value   version INT16, 0 | timestamp INT64, Unix time in ms
//   STRING is an INT16 length and UTF-8
//
// Source: Heartbeat.java and org.apache.kafka.common.protocol.types.Schema.

export type Heartbeat = {
  readonly source: string
  readonly target: string
  /** When it was written, Unix time, ms, by the clock of its writer. */
  readonly atMs: number
}

const VERSION = 0
const VALUE_BYTES = 2 + 8

export function encodeHeartbeat({ source, target, atMs }: Heartbeat): {
  readonly key: Buffer
  readonly value: Buffer
} {
  const value = Buffer.alloc(VALUE_BYTES)
  value.writeInt16BE(VERSION, 0)
  value.writeBigInt64BE(BigInt(atMs), 2)
  return { key: Buffer.concat([textBytes(source), textBytes(target)]), value }
}

/** Null for a record that is no heartbeat of a version that is known here. */
export function decodeHeartbeat(key: Buffer | null, value: Buffer | null): Heartbeat | null {
  if (key === null || value === null || value.length < VALUE_BYTES) return null
  if (value.readInt16BE(0) !== VERSION) return null
  const source = textAt(key, 0)
  const target = source === null ? null : textAt(key, source.end)
  if (source === null || target === null || target.end !== key.length) return null
  const atMs = Number(value.readBigInt64BE(2))
  return Number.isSafeInteger(atMs) ? { source: source.text, target: target.text, atMs } : null
}

function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function textAt(bytes: Buffer, at: number): { text: string; end: number } | null {
  if (at + 2 > bytes.length) return null
  const length = bytes.readInt16BE(at)
  const end = at + 2 + length
  if (length < 0 || end > bytes.length) return null
  return { text: bytes.toString('utf8', at + 2, end), end }
}

/** The newest of some heartbeats, of one pair of clusters or of all; null: there is none. */
export function newestHeartbeat(
  heartbeats: readonly Heartbeat[],
  of: Pick<Heartbeat, 'source' | 'target'> | null,
): Heartbeat | null {
  const meant = heartbeats.filter(
    each => of === null || (each.source === of.source && each.target === of.target),
  )
  return meant.reduce<Heartbeat | null>(
    (newest, each) => (newest === null || each.atMs > newest.atMs ? each : newest),
    null,
  )
}
