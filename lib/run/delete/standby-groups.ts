// Owns which committed offsets of consumer groups go with a standby topic: Kafka deletes them with
// it, and nobody can look them up behind that. Reads only. Does not own when the topic is deleted
// (recreate-topic.ts).

import { groupOffsetsNamedMax } from '../../core/sync/deletion-limits.ts'
import { unsyncedTypeText } from '../../core/sync/group-selection.ts'
import type { GroupAdmin } from '../../io/admin/group-admin.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'

/** The committed offset of one group and partition of a standby topic. */
export type StandbyOffset = {
  readonly group: string
  readonly partition: number
  readonly offset: bigint
}

export type StandbyOffsets =
  | {
      readonly kind: 'read'
      /** The first `groupOffsetsNamedMax`, by group and partition. */
      readonly named: readonly StandbyOffset[]
      /** How many there are. */
      readonly count: number
    }
  | { readonly kind: 'unknown'; readonly detail: string }

/** Groups that the principal may not describe are in no listing, so they are left out here, too. */
export async function readStandbyOffsets(
  admin: Pick<GroupAdmin, 'listGroups' | 'readOffsets'>,
  targetTopic: string,
): Promise<StandbyOffsets> {
  try {
    const { groups, failures } = await admin.listGroups()
    const [failure] = failures
    if (failure !== undefined) return { kind: 'unknown', detail: failure.message }
    const committing = groups.filter(each => unsyncedTypeText(each.type) === null)
    const read = await admin.readOffsets(committing.map(each => each.group))
    const found: StandbyOffset[] = []
    for (const each of read) {
      // A group that ended between both requests has no offsets any more.
      if (each.kind === 'refused' && each.errorName !== 'GROUP_ID_NOT_FOUND') {
        return { kind: 'unknown', detail: `group ${each.group}: ${each.errorName}` }
      }
      const offsets = each.kind === 'read' ? each.offsets : []
      for (const { topic, partition, offset } of offsets) {
        if (topic === targetTopic) found.push({ group: each.group, partition, offset })
      }
    }
    const named = found.sort(byGroup).slice(0, groupOffsetsNamedMax)
    return { kind: 'read', named, count: found.length }
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    return { kind: 'unknown', detail: error.message }
  }
}

function byGroup(left: StandbyOffset, right: StandbyOffset): number {
  if (left.group === right.group) return left.partition - right.partition
  return left.group < right.group ? -1 : 1
}

/** `shop:0@120, shop:1@80`: group, partition and offset. */
export function standbyOffsetsText({
  named,
  count,
}: Pick<Extract<StandbyOffsets, { kind: 'read' }>, 'named' | 'count'>): string {
  const texts = named.map(({ group, partition, offset }) => `${group}:${partition}@${offset}`)
  const rest = count - named.length
  return [...texts, ...(rest > 0 ? [`and ${rest} more`] : [])].join(', ')
}
