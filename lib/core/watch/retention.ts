// Owns the prediction when retention may delete a record, from the topic's configuration, the
// record's timestamp and the bytes behind it. The observed speed of the log start offset is not
// used: it moves by whole segments, every few minutes at best, and so tells less than the rules by
// which it moves (Kafka's UnifiedLog.deleteOldSegments). Does not own reading the records
// (run/watch/oldest-records.ts).

import { behindMsMin, bytesBehindShareMax } from '../config/defaults.ts'

/** The settings of a source topic that delete records; null means no limit. */
export type Retention = { readonly ms: bigint | null; readonly bytes: bigint | null }

/** The retention of a topic, or the reason why it is not known. */
export type TopicRetention =
  /** Whoever looks needs no headroom. */
  | { readonly kind: 'not-asked' }
  | { readonly kind: 'known'; readonly retention: Retention }
  | { readonly kind: 'unobserved'; readonly detail: string }

/** The settings of retention, as DescribeConfigs names them. */
export const retentionConfigs = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const

/** Null when a setting is missing or no number, so that nothing can be predicted. */
export function readRetention(configs: ReadonlyMap<string, string>): Retention | null {
  const policy = configs.get('cleanup.policy')
  const ms = readLimit(configs.get('retention.ms'))
  const bytes = readLimit(configs.get('retention.bytes'))
  if (policy === undefined || ms === undefined || bytes === undefined) return null
  // Compaction keeps the last record of every key, whatever its age.
  const deletes = policy.split(',').some(each => each.trim() === 'delete')
  return deletes ? { ms, bytes } : { ms: null, bytes: null }
}

function readLimit(text: string | undefined): bigint | null | undefined {
  if (text === undefined || !/^-?\d+$/.test(text)) return undefined
  const value = BigInt(text)
  return value < 0n ? null : value
}

/** The first batch that is not replicated. */
export type OldestBatch = {
  /**
   * Its newest timestamp (Unix time, ms): its segment is not deleted before that is due, however
   * far ahead it is. Null: the batch has none, and the broker goes by the date of the segment file.
   */
  readonly timestampMs: number | null
  /** Bytes of the batch per offset; null when it was not measured. */
  readonly bytesPerOffset: number | null
}

/** A shorter window would turn a short burst into a lasting rate. */
const rateWindowMsMin = 60_000

type Prediction = {
  readonly retention: Retention
  readonly oldest: OldestBatch
  readonly lagRecords: bigint
  /** The age of the batch by our clock, ms; by default that of its timestamp. */
  readonly ageMs?: number | null
  readonly nowMs: number
}

/**
 * The earliest time, in ms from now, at which retention may delete the oldest batch that is not
 * replicated: 0 when that may happen at any moment, null when no limit is set or can be computed.
 *
 * By time, a segment is deleted when its newest timestamp is older than retention.ms, oldest
 * segment first. By size, it is deleted when the bytes behind it reach retention.bytes; the
 * `lagRecords` offsets written since the batch give the rate.
 */
export function headroomMs(input: Prediction): number | null {
  const known = [byTimeMs(input), bySizeMs(input)].filter(each => each !== null)
  return known.length === 0 ? null : Math.max(0, Math.min(...known))
}

export type Headroom = {
  /** `unlimited`: no limit is set, or none endangers the batch. Null: not known. */
  readonly ms: number | 'unlimited' | null
  /** The settings that limit the log and say nothing of this batch. */
  readonly uncomputed: readonly string[]
}

/** The headroom of a partition whose first batch that is not replicated was seen. */
export function headroomOfBatch(input: Prediction): Headroom {
  const { ageMs = null } = input
  // So short a lag is records on their way, which even a short retention does not endanger, unless
  // they fill half of what it keeps.
  if (ageMs !== null && ageMs < behindMsMin && !isNearSizeLimit(input)) {
    return { ms: 'unlimited', uncomputed: [] }
  }
  const uncomputed = uncomputedLimits(input)
  return { ms: headroomMs(input) ?? (uncomputed.length === 0 ? 'unlimited' : null), uncomputed }
}

/** The limits that are set and cannot be computed for this batch, as the topic's settings. */
function uncomputedLimits(input: Prediction): string[] {
  const { retention } = input
  return [
    ...(retention.ms !== null && byTimeMs(input) === null ? ['retention.ms'] : []),
    ...(retention.bytes !== null && behindBytes(input) === null ? ['retention.bytes'] : []),
  ]
}

/** Whether the bytes behind the batch use up so much of retention.bytes that time says nothing. */
function isNearSizeLimit(input: Pick<Prediction, 'retention' | 'oldest' | 'lagRecords'>) {
  const bytes = behindBytes(input)
  const limit = input.retention.bytes
  return limit !== null && bytes !== null && bytes >= Number(limit) * bytesBehindShareMax
}

function byTimeMs({ retention, oldest, ageMs = null, nowMs }: Prediction): number | null {
  if (retention.ms === null) return null
  if (oldest.timestampMs !== null) return Number(retention.ms) - (nowMs - oldest.timestampMs)
  // The file is not older than its records.
  return ageMs === null ? null : Number(retention.ms) - ageMs
}

function bySizeMs(input: Prediction): number | null {
  const bytes = behindBytes(input)
  if (input.retention.bytes === null || bytes === null || bytes === 0) return null
  const { oldest, nowMs } = input
  const ageMs = input.ageMs ?? (oldest.timestampMs === null ? 0 : nowMs - oldest.timestampMs)
  const bytesPerMs = bytes / Math.max(ageMs, rateWindowMsMin)
  return Math.round((Number(input.retention.bytes) - bytes) / bytesPerMs)
}

function behindBytes({ oldest, lagRecords }: Pick<Prediction, 'oldest' | 'lagRecords'>) {
  return oldest.bytesPerOffset === null ? null : Number(lagRecords) * oldest.bytesPerOffset
}
