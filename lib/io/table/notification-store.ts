// Owns which incidents a notification went out for: an attribute of the incident's row says which
// state of the incident was sent. A state that was stored later differs from it, and is sent next
// time. Does not own the rest of the row (incident-store.ts).
//
//   told     the state sent last (core/monitoring/notification.ts); absent before the first

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Incident } from '../../core/incident.ts'
import { toldState } from '../../core/monitoring/notification.ts'
import { incidentKey, incidentPrefix, readIncidents } from '../../core/row/incident-row.ts'
import { listRows, updateRow } from './table-request.ts'
import { namesOf, updateExpression } from './update-expression.ts'

export type NotificationStore = {
  /** Incidents whose present state was not sent yet, oldest first. Leaves out corrupt rows. */
  listUntold(flow: string): Promise<readonly Incident[]>
  /** Called after the notification went out: after a crash in between it is sent again. */
  markTold(incident: Incident): Promise<void>
}

export function createNotificationStore(client: DynamoDBClient, table: string): NotificationStore {
  const target = { client, table }
  return {
    async listUntold(flow) {
      const purpose = `listing the incidents of flow ${flow} without a notification`
      const rows = await listRows(target, purpose, { flow, prefix: incidentPrefix })
      const told = new Map(rows.map(row => [row.sk?.S, row.told?.S]))
      return readIncidents(rows).incidents.filter(
        incident => told.get(`${incidentPrefix}${incident.id}`) !== toldState(incident),
      )
    },
    async markTold(incident) {
      const update = updateExpression({ set: { told: { S: toldState(incident) } } })
      // The condition fails when an operator deleted the row: there is nothing to remember then.
      await updateRow(target, `marking incident ${incident.id} of flow ${incident.flow} as told`, {
        ...update,
        Key: incidentKey(incident),
        ConditionExpression: 'attribute_exists(#pk)',
        ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...namesOf(['pk']) },
      })
    },
  }
}
