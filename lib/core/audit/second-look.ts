// Owns what is looked for in both logs once more where they differ: whether the source has a record
// that the standby seems to have made up, and on compacted topics the last record of a key. Does
// not own reading them (run/audit/look-again.ts).

import type { KnownRecord } from '../pairing/opened-batch.ts'
import type { Unmatched } from '../pairing/pairing.ts'

export type SecondLook = {
  /** Whether something is looked for in this log. */
  needs(side: 'source' | 'target'): boolean
  see(side: 'source' | 'target', record: KnownRecord): void
  /** The first record of the source with the same contents; null: there is none. */
  sameOnSource(record: KnownRecord): KnownRecord | null
  /**
   * The last record of a key; null: there is none. `copied`: the last one of the source that is on
   * the standby or should be.
   */
  lastOf(side: 'source' | 'target' | 'copied', key: number): LastOfKey | null
}

export type LastOfKey = Pick<KnownRecord, 'offset' | 'hasValue'>

export function createSecondLook(found: {
  readonly source: readonly Unmatched[]
  readonly target: readonly Unmatched[]
  readonly isCompacted: boolean
  /** What the source holds from here on may be on its way. */
  readonly copiedTo: bigint
}): SecondLook {
  const { source, target, isCompacted, copiedTo } = found
  const wanted = new Set(target.map(each => each.record.print))
  const keys = new Set<number>()
  for (const { record } of isCompacted ? [...source, ...target] : []) {
    if (record.hasKey) keys.add(record.key)
  }
  const seen = new Map<string, KnownRecord>()
  const last = {
    source: new Map<number, LastOfKey>(),
    copied: new Map<number, LastOfKey>(),
    target: new Map<number, LastOfKey>(),
  }
  return {
    needs: side => keys.size > 0 || (side === 'source' && wanted.size > 0),
    see(side, record) {
      const { offset, hasValue, print } = record
      if (record.hasKey && keys.has(record.key)) {
        last[side].set(record.key, { offset, hasValue })
        if (side === 'source' && offset < copiedTo)
          last.copied.set(record.key, { offset, hasValue })
      }
      if (side !== 'source' || !wanted.has(print)) return
      for (const name of [`${print}`, `${print}@${record.time}`]) {
        if (!seen.has(name)) seen.set(name, record)
      }
    },
    sameOnSource: ({ print, time, hasAppendTime }) =>
      seen.get(hasAppendTime ? `${print}` : `${print}@${time}`) ?? null,
    lastOf: (side, key) => last[side].get(key) ?? null,
  }
}
