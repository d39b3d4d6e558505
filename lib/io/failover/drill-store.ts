// Owns the rows of fail-over drills in DynamoDB, and removing every row of the flow of a drill.
// Does not own the attributes (core/row/drill-row.ts) nor the topics and groups (run/drill).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { assert } from '../../core/assert.ts'
import { drillPrefix } from '../../core/drill/scratch-flow.ts'
import {
  type Drill,
  drillAttributes,
  drillKey,
  drillPartitionKey,
  drillSortPrefix,
  readDrill,
} from '../../core/row/drill-row.ts'
import type { Row, StoredRow } from '../../core/row/row.ts'
import { listRows, type TableTarget, updateRow, writeTogether } from '../table/table-request.ts'
import { namesOf, updateExpression, valuesOf } from '../table/update-expression.ts'

export type DrillStore = {
  /** Stores that a drill begins. */
  begin(drill: Drill): Promise<void>
  /** Says that the drill lives. `gone`: `--clean` has removed it, and it must not go on. */
  renew(input: {
    readonly drill: string
    readonly aliveUntilMs: number
  }): Promise<'renewed' | 'gone'>
  /** The drills that have a row: those that run, and those that left something. */
  list(): Promise<readonly Drill[]>
  /** Removes every row of a flow of a drill: checkpoints, workers, groups, anchors, incidents. */
  removeFlow(flow: string): Promise<void>
  /** Removes the row of the drill itself. */
  end(drill: string): Promise<void>
}

export function createDrillStore(client: DynamoDBClient, table: string): DrillStore {
  const target = { client, table }
  return {
    async begin(drill) {
      await updateRow(target, `storing that drill ${drill.drill} begins`, {
        Key: drillKey(drill.drill),
        ...updateExpression({ set: drillAttributes(drill) }),
      })
    },
    async renew({ drill, aliveUntilMs }) {
      const outcome = await updateRow(target, `storing that drill ${drill} goes on`, {
        Key: drillKey(drill),
        UpdateExpression: 'SET #aliveUntilMs = :aliveUntilMs',
        ConditionExpression: 'attribute_exists(#topic)',
        ExpressionAttributeNames: namesOf(['aliveUntilMs', 'topic']),
        ExpressionAttributeValues: valuesOf({ aliveUntilMs: { N: String(aliveUntilMs) } }),
      })
      return outcome.kind === 'updated' ? 'renewed' : 'gone'
    },
    async list() {
      const query = { flow: drillPartitionKey, prefix: drillSortPrefix }
      return (await listRows(target, 'listing the fail-over drills', query)).map(readDrill)
    },
    removeFlow: flow => removeFlow(target, flow),
    async end(drill) {
      await writeTogether(target, `storing that drill ${drill} has ended`, [
        { remove: { Key: drillKey(drill) } },
      ])
    },
  }
}

async function removeFlow(target: TableTarget, flow: string): Promise<void> {
  // The rows of a flow of the operator are its memory: losing them would copy everything again.
  assert(flow.startsWith(drillPrefix), `${flow} is no flow of a drill`)
  const purpose = `removing the rows of drill ${flow}`
  for (const row of await listRows(target, purpose, { flow, prefix: null })) {
    await writeTogether(target, purpose, [{ remove: { Key: keyOf(row) } }])
  }
}

function keyOf({ pk, sk }: StoredRow): Row {
  return { pk: { S: pk?.S ?? '' }, sk: { S: sk?.S ?? '' } }
}
