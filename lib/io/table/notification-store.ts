// Owns which incidents a notification went out for: an attribute of the incident's row says which
// state of the incident was sent. A state that was stored later differs from it, and is sent next
// time. Ended incidents have a mark until they were told, so that the history is never read for
// them. Does not own the rest of the row (incident-store.ts).
//
//   told     the state sent last (core/monitoring/notification.ts); absent before the first

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { notificationsMax, notifiedIncidentsMax } from '../../core/config/defaults.ts'
import type { Incident } from '../../core/incident.ts'
import { toldState } from '../../core/monitoring/notification.ts'
import { endedIncidentKey, idOf, untoldKey, untoldPrefix } from '../../core/row/incident-moves.ts'
import {
  byDetection,
  incidentKey,
  incidentPrefix,
  readIncidents,
} from '../../core/row/incident-row.ts'
import type { Row, StoredRow } from '../../core/row/row.ts'
import { getRow, listRows, type TableTarget, updateRow, writeTogether } from './table-request.ts'
import { namesOf, updateExpression, valuesOf } from './update-expression.ts'

export type NotificationStore = {
  /**
   * Incidents whose present state was not sent yet, oldest first; as many ended ones as a tick may
   * tell, and the next tick has the others. Leaves out corrupt rows.
   */
  listUntold(flow: string): Promise<readonly Incident[]>
  /** Called after the notification went out: after a crash in between it is sent again. */
  markTold(incident: Incident): Promise<void>
}

export function createNotificationStore(client: DynamoDBClient, table: string): NotificationStore {
  const target = { client, table }
  return {
    listUntold: flow => listUntold(target, flow),
    markTold: incident =>
      incident.resolution === 'open' ? markOpen(target, incident) : markEnded(target, incident),
  }
}

async function listUntold(target: TableTarget, flow: string): Promise<readonly Incident[]> {
  const purpose = `listing the incidents of flow ${flow} without a notification`
  const rows = await listRows(target, purpose, { flow, prefix: incidentPrefix })
  const marks = await listRows(target, purpose, { flow, prefix: untoldPrefix })
  const ended: StoredRow[] = []
  for (const mark of marks.slice(0, notificationsMax * notifiedIncidentsMax)) {
    const row = await getRow(target, purpose, endedIncidentKey({ flow, id: idOf(mark) }))
    if (row !== null && !isTold(row)) ended.push(row)
    // The row expired before its mark, or was told before it was moved.
    else await writeTogether(target, purpose, [{ remove: { Key: keyOf(mark) } }])
  }
  const untold = [...rows, ...ended].filter(row => !isTold(row))
  return [...readIncidents(untold).incidents].sort(byDetection)
}

function isTold(row: StoredRow): boolean {
  const [incident] = readIncidents([row]).incidents
  return incident !== undefined && row.told?.S === toldState(incident)
}

function keyOf({ pk, sk }: StoredRow): Row {
  return { pk: { S: pk?.S ?? '' }, sk: { S: sk?.S ?? '' } }
}

async function markOpen(target: TableTarget, incident: Incident): Promise<void> {
  const update = updateExpression({ set: { told: { S: toldState(incident) } } })
  // The condition fails when an operator deleted the row, or when the incident has ended: there is
  // nothing to remember then, and the end is told on its own.
  await updateRow(target, `marking incident ${incident.id} of flow ${incident.flow} as told`, {
    ...update,
    Key: incidentKey(incident),
    ConditionExpression: 'attribute_exists(#pk)',
    ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...namesOf(['pk']) },
  })
}

/** Refused, so that it is told again, when the row has another state by now. */
async function markEnded(target: TableTarget, incident: Incident): Promise<void> {
  const update = updateExpression({ set: { told: { S: toldState(incident) } } })
  const { resolution, foundOffset, lostRecordsMax } = incident
  const numbers = { foundOffset, lostRecordsMax }
  const state: Row = { resolution: { S: resolution } }
  const absent: string[] = []
  for (const [name, value] of Object.entries(numbers)) {
    if (value === null) absent.push(name)
    else state[name] = { N: String(value) }
  }
  const conditions = [
    ...Object.keys(state).map(name => `#${name} = :${name}`),
    ...absent.map(name => `attribute_not_exists(#${name})`),
  ]
  const names = namesOf([...Object.keys(state), ...absent])
  const purpose = `marking incident ${incident.id} of flow ${incident.flow} as told`
  await writeTogether(target, purpose, [
    {
      update: {
        ...update,
        Key: endedIncidentKey(incident),
        ConditionExpression: conditions.join(' AND '),
        ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...names },
        ExpressionAttributeValues: { ...update.ExpressionAttributeValues, ...valuesOf(state) },
      },
    },
    { remove: { Key: untoldKey(incident) } },
  ])
}
