// Owns when retention may delete a record: what a topic's configuration says, and the prediction
// from it. The prediction is stateless, from the record's own timestamp and the size behind it: a
// log start moves by whole segments, every few minutes at best, so the speed at which it was seen
// to move says less than the rules by which it moves (Kafka's UnifiedLog.deleteOldSegments).

/** The settings of a source topic that delete records; null stands for "no limit". */
export type Retention = { readonly ms: bigint | null; readonly bytes: bigint | null }

/** What could be learned of a topic's settings. */
export type TopicRetention =
  | { readonly kind: 'known'; readonly retention: Retention }
  | { readonly kind: 'unobserved'; readonly detail: string }

/** What retention is made of, as DescribeConfigs names it. */
export const retentionConfigs = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const

/** Null where a setting is missing or is no number: then nothing can be predicted. */
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
  /** Its newest timestamp: no segment with it is deleted before that one is old enough. */
  readonly timestampMs: number
  /** Bytes of the batch for each of its offsets; null where it was not looked at. */
  readonly bytesPerOffset: number | null
}

/** What is written in the first moments would pass for a rate that goes on for ever. */
const rateWindowMsMin = 60_000

/**
 * How long, in ms, until retention may delete the oldest batch that is not replicated, at the
 * earliest; 0 when it may go at any moment, null when nothing ever deletes it.
 *
 * By time: a segment goes when its newest timestamp is older than retention.ms, and those before it
 * went. By size: it goes when what lies behind it has reached retention.bytes, and `lagRecords`
 * offsets since the batch say how fast that comes.
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
