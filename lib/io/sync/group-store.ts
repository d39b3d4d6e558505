// Owns the rows of consumer groups in DynamoDB: one conditional write of one item for each change,
// whatever the number of partitions. Does not own their text (core/row/group-row.ts).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { groupRowDays } from '../../core/config/defaults.ts'
import {
  type GroupKey,
  type GroupRow,
  groupAttributes,
  groupKey,
  groupPrefix,
  readGroupRow,
} from '../../core/row/group-row.ts'
import { CorruptRowError, type StoredRow } from '../../core/row/row.ts'
import { listRows, type TableTarget, updateRow } from '../table/table-request.ts'
import { updateExpression, valuesOf } from '../table/update-expression.ts'

export type ListedGroupRows = {
  readonly rows: readonly GroupRow[]
  /** Rows that cannot be read, one description each, by their group. */
  readonly corrupt: ReadonlyMap<string, string>
}

export type GroupStore = {
  /** The rows of all groups of a flow. */
  list(flow: string): Promise<ListedGroupRows>
  /**
   * Stores the offsets of a group on condition that its row still has the version that was read;
   * 0: there was none. `overtaken`: another tick wrote it in between, and nothing was written.
   */
  write(
    input: GroupKey & { readonly version: number; readonly text: string; readonly nowMs: number },
  ): Promise<'written' | 'overtaken'>
}

const dayMs = 24 * 60 * 60 * 1000

export function createGroupStore(client: DynamoDBClient, table: string): GroupStore {
  const target = { client, table }
  return {
    async list(flow) {
      const purpose = `listing the groups of flow ${flow}`
      return readRows(await listRows(target, purpose, { flow, prefix: groupPrefix }))
    },
    write: input => writeRow(target, input),
  }
}

async function writeRow(
  target: TableTarget,
  { flow, group, version, text, nowMs }: Parameters<GroupStore['write']>[0],
): ReturnType<GroupStore['write']> {
  const set = groupAttributes({
    version: version + 1,
    text,
    writtenAtMs: nowMs,
    expiresAtMs: nowMs + groupRowDays * dayMs,
  })
  const update = updateExpression({ set })
  const isNew = version === 0
  const read = isNew ? {} : valuesOf({ read: { N: String(version) } })
  const outcome = await updateRow(target, `storing the offsets of group ${group} of flow ${flow}`, {
    Key: groupKey({ flow, group }),
    ...update,
    ConditionExpression: isNew ? 'attribute_not_exists(#groupVersion)' : '#groupVersion = :read',
    ExpressionAttributeValues: { ...update.ExpressionAttributeValues, ...read },
  })
  if (outcome.kind === 'updated') return 'written'
  // The SDK sends a write again whose answer was lost: the row is ours already then.
  const { row } = outcome
  const isOurs =
    row?.groupVersion?.N === String(version + 1) &&
    row.groupWrittenAtMs?.N === String(nowMs) &&
    row.groupOffsets?.S === text
  return isOurs ? 'written' : 'overtaken'
}

function readRows(stored: readonly StoredRow[]): ListedGroupRows {
  const rows: GroupRow[] = []
  const corrupt = new Map<string, string>()
  for (const row of stored) {
    try {
      rows.push(readGroupRow(row))
    } catch (error) {
      if (!(error instanceof CorruptRowError)) throw error
      corrupt.set((row.sk?.S ?? '').slice(groupPrefix.length), error.message)
    }
  }
  return { rows, corrupt }
}
