// Owns what two cleaners leave alike of the end of a compacted log: the newest record of each key.
// Older values may be on one side only, and so may tombstones, which a cleaner removes after
// delete.retention.ms (LogCleaner, Cleaner.shouldRetainRecord). Pure. Does not own reading the logs
// (run/failover/compare-tails.ts).

/** A record of one log, in the order of offsets. */
export type KeyedRecord = {
  /** Equal for equal keys; null: the record has none, and no cleaner removes it. */
  readonly key: string | null
  readonly isTombstone: boolean
}

/** The records that any cleaner keeps, in the same order. */
export function newestOfKeys<T extends KeyedRecord>(records: readonly T[]): T[] {
  const seen = new Set<string>()
  const newest: T[] = []
  for (const each of records.toReversed()) {
    if (each.key !== null && seen.has(each.key)) continue
    if (each.key !== null) seen.add(each.key)
    if (!each.isTombstone) newest.push(each)
  }
  return newest.reverse()
}
