// Owns the prediction when retention may delete a record, from the topic's configuration, the
// record's timestamp and the bytes behind it. The observed speed of the log start offset is not
// used: it moves by whole segments, every few minutes at best, and so tells less than the rules by
// which it moves (Kafka's UnifiedLog.deleteOldSegments). Does not own reading the records
// (run/watch/oldest-records.ts).

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
  /** Its newest timestamp (Unix time, ms): its segment is not deleted before that is due. */
  readonly timestampMs: number
  /** Bytes of the batch per offset; null when it was not measured. */
  readonly bytesPerOffset: number | null
}

/** A shorter window would turn a short burst into a lasting rate. */
const rateWindowMsMin = 60_000

/**
 * The earliest time, in ms from now, at which retention may delete the oldest batch that is not
 * replicated: 0 when that may happen at any moment, null when retention never deletes it.
 *
 * By time, a segment is deleted when its newest timestamp is older than retention.ms, oldest
 * segment first. By size, it is deleted when the bytes behind it reach retention.bytes; the
 * `lagRecords` offsets written since the batch give the rate.
 */
export function headroomMs(input: {
  readonly retention: Retention
  readonly oldest: OldestBatch
  readonly lagRecords: bigint
  readonly nowMs: number
}): number | null {
  const { retention, oldest, lagRecords, nowMs } = input
  const ageMs = nowMs - oldest.timestampMs
  const byTime = retention.ms === null ? null : Number(retention.ms) - ageMs
  const left = [byTime, bySizeMs(retention.bytes, oldest, { lagRecords, ageMs })]
  const known = left.filter(each => each !== null)
  return known.length === 0 ? null : Math.max(0, Math.min(...known))
}

function bySizeMs(
  limitBytes: bigint | null,
  { bytesPerOffset }: OldestBatch,
  { lagRecords, ageMs }: { readonly lagRecords: bigint; readonly ageMs: number },
): number | null {
  if (limitBytes === null || bytesPerOffset === null) return null
  const behindBytes = Number(lagRecords) * bytesPerOffset
  if (behindBytes === 0) return null
  const bytesPerMs = behindBytes / Math.max(ageMs, rateWindowMsMin)
  return Math.round((Number(limitBytes) - behindBytes) / bytesPerMs)
}
