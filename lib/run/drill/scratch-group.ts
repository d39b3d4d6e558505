// Owns the consumer group of a drill: it reads a part of each partition and commits, as a consumer
// that assigns its partitions by hand does it, and says which record it would read next. Does not
// own which record that must be (rehearse.ts).

import type { CommittedOffset, GroupAdmin } from '../../io/admin/group-admin.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { ScratchLog } from './scratch-topic.ts'

/** The group on one of the two clusters. */
export type ScratchGroup = {
  readonly cluster: string
  readonly admin: Pick<GroupAdmin, 'readOffsets' | 'commitOffsets'>
  readonly group: string
  readonly topic: string
}

/** The id of the record that the group reads next, by partition; null: it has read all. */
export type NextRecords = readonly (string | null)[]

/**
 * Commits behind the first `counts[partition]` records of each log. Resolves with what the group
 * reads next. Throws `BrokerFailure` when the coordinator refuses the commit.
 */
export async function readAsGroup(
  { cluster, admin, group, topic }: ScratchGroup,
  log: ScratchLog,
  counts: readonly number[],
): Promise<NextRecords> {
  const offsets: CommittedOffset[] = log.flatMap((records, partition) => {
    const last = records[(counts[partition] ?? 0) - 1]
    return last === undefined
      ? []
      : [{ topic, partition, offset: last.offset + 1n, metadata: null }]
  })
  const outcomes = await admin.commitOffsets(group, offsets)
  const refused = outcomes.find(each => each.kind !== 'committed')
  if (refused !== undefined) {
    const detail = `OffsetCommit of group ${group} for ${topic}-${refused.partition} answered ${refused.errorName}`
    throw new BrokerFailure({ reason: 'unreachable', cluster, detail })
  }
  return log.map((records, partition) => records[counts[partition] ?? 0]?.id ?? null)
}

/** What the group would read next; `undefined`: it has committed nothing for the partition. */
export async function nextOfGroup(
  { cluster, admin, group, topic }: ScratchGroup,
  log: ScratchLog,
): Promise<readonly (string | null | undefined)[]> {
  const [read] = await admin.readOffsets([group])
  if (read === undefined || read.kind === 'refused') {
    const detail = `OffsetFetch of group ${group} answered ${read?.errorName ?? 'nothing'}`
    throw new BrokerFailure({ reason: 'unreachable', cluster, detail })
  }
  return log.map((records, partition) => {
    const at = read.offsets.find(each => each.topic === topic && each.partition === partition)
    if (at === undefined) return undefined
    return records.find(({ offset }) => offset >= at.offset)?.id ?? null
  })
}
