// Owns incidents in DynamoDB. Each change is one transaction and means the same when it is applied
// twice: the SDK sends it again when a response was lost. Does not own which rows it writes
// (core/row/incident-moves.ts) nor the attributes of an incident (core/row/incident-row.ts).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { flowDefaults, incidentWriteAttemptsMax } from '../../core/config/defaults.ts'
import type { Incident } from '../../core/incident.ts'
import { checkpointKey } from '../../core/row/checkpoint.ts'
import {
  endedIncidentKey,
  endWrites,
  hasEnded,
  idOf,
  type RowWrite,
  recordWrites,
} from '../../core/row/incident-moves.ts'
import {
  endedPrefix,
  endings,
  type IncidentKey,
  incidentKey,
  incidentPrefix,
  type ListedIncidents,
  readIncidents,
} from '../../core/row/incident-row.ts'
import type { Row } from '../../core/row/row.ts'
import { ReplicatorError } from '../failure/replicator-error.ts'
import type { IncidentStore, LeaseOf } from './stores.ts'
import {
  getRow,
  listRows,
  type TableTarget,
  type TableWrite,
  writeTogether,
} from './table-request.ts'
import { namesOf, updateExpression, valuesOf } from './update-expression.ts'

const dayMs = 24 * 60 * 60 * 1000

/** `keptDays`: for how long ended incidents are kept (`incidentsKeptDays` of their flow). */
export function createIncidentStore(
  client: DynamoDBClient,
  table: string,
  keptDays: number = flowDefaults.incidentsKeptDays,
): IncidentStore {
  const target = { client, table, keepMs: keptDays * dayMs }
  return {
    record: (incident, foundUnder) => recordIncident(target, incident, foundUnder),
    resolve: input => resolveIncident(target, input),
    list: (flow, which) => listIncidents(target, flow, which),
    find: key => findIncident(target, key),
  }
}

type KeepingTarget = TableTarget & { readonly keepMs: number }

async function recordIncident(
  target: KeepingTarget,
  incident: Incident,
  foundUnder: LeaseOf | undefined,
): ReturnType<IncidentStore['record']> {
  const purpose = `recording incident ${incident.id} of flow ${incident.flow}`
  const lease = foundUnder === undefined ? [] : [heldCheck(foundUnder)]
  const [ended, open] = await Promise.all([
    getRow(target, purpose, endedIncidentKey(incident)),
    // An open incident is updated where it is, whether or not it is there.
    incident.resolution === 'open' ? null : getRow(target, purpose, incidentKey(incident)),
  ])
  const writes = recordWrites(incident, { open, ended }, target.keepMs)
  const outcome = await writeTogether(target, purpose, [...lease, ...writes.map(tableWrite)])
  // Only the lease has a condition.
  return outcome.kind === 'written' ? 'recorded' : 'overtaken'
}

/** Holds as long as no other owner has acquired the lease. */
export function heldCheck({ key, fence }: LeaseOf): TableWrite {
  return {
    check: {
      Key: checkpointKey(key),
      ConditionExpression: '#fence = :fence',
      ExpressionAttributeNames: namesOf(['fence']),
      ExpressionAttributeValues: valuesOf({ fence: { N: String(fence) } }),
    },
  }
}

async function resolveIncident(
  target: KeepingTarget,
  input: Parameters<IncidentStore['resolve']>[0],
): Promise<void> {
  const purpose = `resolving incident ${input.id} of flow ${input.flow}`
  for (let attempt = 0; attempt < incidentWriteAttemptsMax; attempt += 1) {
    const open = await getRow(target, purpose, incidentKey(input))
    // The incident has ended already, perhaps by our own first attempt, or an operator deleted the
    // row. Either way no such incident is open any more, as asked for.
    if (open === null || hasEnded(open)) return
    const writes = endWrites(input, open, { ending: input, keepMs: target.keepMs })
    const outcome = await writeTogether(target, purpose, writes.map(tableWrite))
    if (outcome.kind === 'written') return
    // The incident was detected again or notified in between: its row is read anew.
  }
  throw new ReplicatorError({
    code: 'table-overloaded',
    message: `The row of incident ${input.id} of flow ${input.flow} changed ${incidentWriteAttemptsMax} times while it was being moved to the ended ones.`,
    hint: 'Nothing was lost: run the command again, or wait for the next tick.',
  })
}

async function listIncidents(
  target: TableTarget,
  flow: string,
  which: 'open' | 'all',
): Promise<ListedIncidents> {
  const purpose = `listing the incidents of flow ${flow}`
  const list = (prefix: string, filter?: typeof notEnded) =>
    listRows(target, purpose, { flow, prefix, ...(filter === undefined ? {} : { filter }) })
  if (which === 'open') return readIncidents(await list(incidentPrefix, notEnded))
  const open = await list(incidentPrefix)
  const ids = new Set(open.map(idOf))
  const ended = await list(endedPrefix)
  return readIncidents([...open, ...ended.filter(row => !ids.has(idOf(row)))])
}

/** An earlier version ended incidents in place. */
const notEnded = {
  // A row without a valid resolution must not pass for one that has ended.
  expression: `attribute_not_exists(#resolution) OR NOT #resolution IN (${endings.map(each => `:${each}`).join(', ')})`,
  names: namesOf(['resolution']),
  values: valuesOf(Object.fromEntries(endings.map(ending => [ending, { S: ending }]))),
}

async function findIncident(target: TableTarget, key: IncidentKey): Promise<ListedIncidents> {
  const purpose = `reading incident ${key.id} of flow ${key.flow}`
  const row =
    (await getRow(target, purpose, incidentKey(key))) ??
    (await getRow(target, purpose, endedIncidentKey(key)))
  return readIncidents(row === null ? [] : [row])
}

/** A write of the core as an item of a transaction. */
export function tableWrite(write: RowWrite): TableWrite {
  if (write.kind === 'update') {
    const { key: Key, ...parts } = write
    return { update: { Key, ...updateExpression(parts) } }
  }
  const { key: Key, unchanged } = write
  if (unchanged === undefined) return { remove: { Key } }
  const names = Object.keys(unchanged)
  return {
    remove: {
      Key,
      // A row without any attribute has at least to exist.
      ConditionExpression: [
        'attribute_exists(#pk)',
        ...names.map(each => `#${each} = :${each}`),
      ].join(' AND '),
      ExpressionAttributeNames: namesOf(['pk', ...names]),
      ...(names.length === 0 ? {} : { ExpressionAttributeValues: valuesOf(unchanged as Row) }),
    },
  }
}
