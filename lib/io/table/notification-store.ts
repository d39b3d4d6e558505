// Owns remembering which incidents somebody was told of: an attribute of the incident's row that
// says what was told. What was stored under the same id meanwhile differs from it, and is told next
// time. Does not own the rest of the row (incident-store.ts).
//
//   told     the state that was told last (core/monitoring/notification.ts); absent until then

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Incident } from '../../core/incident.ts'
import { toldState } from '../../core/monitoring/notification.ts'
import { incidentKey, incidentPrefix, readIncidents } from '../../core/row/incident-row.ts'
import { listRows, updateRow } from './table-request.ts'
import { namesOf, updateExpression } from './update-expression.ts'

export type NotificationStore = {
  /** Incidents whose state of now nobody was told of, oldest first. Corrupt rows are not here. */
  listUntold(flow: string): Promise<readonly Incident[]>
  /** After the notification went out: what is lost in between is sent again. */
  markTold(incident: Incident): Promise<void>
}

export function createNotificationStore(client: DynamoDBClient, table: string): NotificationStore {
  const target = { client, table }
  return {
    async listUntold(flow) {
      const purpose = `listing the incidents of flow ${flow} that nobody was told of`
      const rows = await listRows(target, purpose, { flow, prefix: incidentPrefix })
      const told = new Map(rows.map(row => [row.sk?.S, row.told?.S]))
      return readIncidents(rows).incidents.filter(
        incident => told.get(`${incidentPrefix}${incident.id}`) !== toldState(incident),
      )
    },
    async markTold(incident) {
      const update = updateExpression({ set: { told: { S: toldState(incident) } } })
      // Refused where an operator deleted the row: there is nothing to remember then.
      await updateRow(target, `marking incident ${incident.id} of flow ${incident.flow} as told`, {
        ...update,
        Key: incidentKey(incident),
        ConditionExpression: 'attribute_exists(#pk)',
        ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...namesOf(['pk']) },
      })
    },
  }
}
