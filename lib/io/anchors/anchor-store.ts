// Owns the anchors of partitions in DynamoDB: one read, and one write under the lease of the
// partition. The write is a transaction that checks the fence of the checkpoint's row, and not a
// fence in a row of its own: after an operator has deleted the checkpoint, fences begin at 1 again.
// Does not own which anchors there are (core/translate) nor the attributes (core/row).
//
// A write that is applied twice means the same as one: the list then has those anchors already.

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import {
  anchorsAttributes,
  anchorsKey,
  readAnchorsRow,
  type TopicIds,
} from '../../core/row/anchors-row.ts'
import type { PartitionKey } from '../../core/row/checkpoint.ts'
import { CorruptRowError } from '../../core/row/row.ts'
import { type Anchor, type Anchors, anchorsUpTo, withAnchor } from '../../core/translate/anchor.ts'
import { heldCheck } from '../table/incident-store.ts'
import type { LeaseOf } from '../table/stores.ts'
import { getRow, type TableTarget, writeTogether } from '../table/table-request.ts'
import { updateExpression } from '../table/update-expression.ts'

export type AnchorStore = {
  /**
   * The anchors between these topics; none where no row has any. Throws `CorruptRowError` where the
   * row is in another form.
   */
  read(key: PartitionKey, of: TopicIds): Promise<Anchors>
  /**
   * Adds anchors, oldest first, behind the last one that a checkpoint names. Those of other topics
   * go, and those beyond it: they were stored by an owner that died before its
   * checkpoint, and an unclean election may have removed their log since. `overtaken`: another
   * owner has acquired the lease, and nothing was written.
   */
  append(
    input: LeaseOf & {
      readonly of: TopicIds
      readonly behind: Anchor
      readonly anchors: Anchors
      readonly nowMs: number
    },
  ): Promise<'appended' | 'overtaken'>
}

export function createAnchorStore(client: DynamoDBClient, table: string): AnchorStore {
  const target = { client, table }
  return {
    read: (key, of) => readAnchors(target, key, of),
    append: input => appendAnchors(target, input),
  }
}

async function readAnchors(target: TableTarget, key: PartitionKey, of: TopicIds): Promise<Anchors> {
  const { topic, partition, flow } = key
  const purpose = `reading the anchors of ${topic}-${partition} (flow ${flow})`
  const row = await getRow(target, purpose, anchorsKey(key))
  if (row === null) return []
  const { anchors, sourceTopicId, targetTopicId } = readAnchorsRow(row)
  return sourceTopicId === of.sourceTopicId && targetTopicId === of.targetTopicId ? anchors : []
}

async function appendAnchors(
  target: TableTarget,
  { key, fence, of, behind, anchors, nowMs }: Parameters<AnchorStore['append']>[0],
): ReturnType<AnchorStore['append']> {
  const purpose = `adding anchors to ${key.topic}-${key.partition} (flow ${key.flow})`
  const known = anchorsUpTo(await knownAnchors(target, key, of), behind)
  const all = [behind, ...anchors].reduce(withAnchor, known)
  const update = updateExpression({ set: anchorsAttributes(of, { anchors: all, nowMs }) })
  const outcome = await writeTogether(target, purpose, [
    heldCheck({ key, fence }),
    { update: { Key: anchorsKey(key), ...update } },
  ])
  // Only the lease has a condition.
  return outcome.kind === 'written' ? 'appended' : 'overtaken'
}

/** A row that cannot be read would stop the partition for ever; offsets before are bounded then. */
async function knownAnchors(
  target: TableTarget,
  key: PartitionKey,
  of: TopicIds,
): Promise<Anchors> {
  try {
    return await readAnchors(target, key, of)
  } catch (error) {
    if (error instanceof CorruptRowError) return []
    throw error
  }
}
