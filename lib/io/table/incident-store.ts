// Owns incidents in DynamoDB. Each write is one update of one row and means the same when it is
// applied twice: the SDK sends it again when a response was lost. Does not own what changes when an
// incident is detected again (core/row/incident-row.ts).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Incident } from '../../core/incident.ts'
import { checkpointKey } from '../../core/row/checkpoint.ts'
import {
  endingAttributes,
  endings,
  incidentChange,
  incidentKey,
  incidentPrefix,
  type ListedIncidents,
  readIncidents,
} from '../../core/row/incident-row.ts'
import type { IncidentStore, LeaseOf } from './stores.ts'
import { listRows, type TableTarget, updateRow, updateRowWhile } from './table-request.ts'
import { namesOf, updateExpression, valuesOf } from './update-expression.ts'

export function createIncidentStore(client: DynamoDBClient, table: string): IncidentStore {
  const target = { client, table }
  return {
    record: (incident, foundUnder) => recordIncident(target, incident, foundUnder),
    resolve: input => resolveIncident(target, input),
    list: (flow, which) => listIncidents(target, flow, which),
  }
}

async function recordIncident(
  target: TableTarget,
  incident: Incident,
  foundUnder: LeaseOf | undefined,
): ReturnType<IncidentStore['record']> {
  const purpose = `recording incident ${incident.id} of flow ${incident.flow}`
  const update = { Key: incidentKey(incident), ...updateExpression(incidentChange(incident)) }
  if (foundUnder === undefined) {
    await updateRow(target, purpose, update)
    return 'recorded'
  }
  const isOurs = {
    Key: checkpointKey(foundUnder.key),
    ConditionExpression: '#fence = :fence',
    ExpressionAttributeNames: namesOf(['fence']),
    ExpressionAttributeValues: valuesOf({ fence: { N: String(foundUnder.fence) } }),
  }
  const outcome = await updateRowWhile(target, purpose, { update, condition: isOurs })
  return outcome === 'updated' ? 'recorded' : 'overtaken'
}

async function resolveIncident(
  target: TableTarget,
  input: Parameters<IncidentStore['resolve']>[0],
): Promise<void> {
  const update = updateExpression({ set: endingAttributes(input) })
  // The condition fails when the incident has ended already, perhaps by our own first attempt, and
  // when an operator deleted the row. Either way no such incident is open any more, as asked for.
  await updateRow(target, `resolving incident ${input.id} of flow ${input.flow}`, {
    ...update,
    Key: incidentKey(input),
    ConditionExpression: 'attribute_exists(#pk) AND attribute_not_exists(#resolution)',
    ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...namesOf(['pk']) },
  })
}

async function listIncidents(
  target: TableTarget,
  flow: string,
  which: 'open' | 'all',
): Promise<ListedIncidents> {
  const filter = {
    // A row without a valid resolution must not pass for one that has ended.
    expression: `attribute_not_exists(#resolution) OR NOT #resolution IN (${endings.map(each => `:${each}`).join(', ')})`,
    names: namesOf(['resolution']),
    values: valuesOf(Object.fromEntries(endings.map(ending => [ending, { S: ending }]))),
  }
  const rows = await listRows(target, `listing the incidents of flow ${flow}`, {
    flow,
    prefix: incidentPrefix,
    ...(which === 'open' ? { filter } : {}),
  })
  return readIncidents(rows)
}
