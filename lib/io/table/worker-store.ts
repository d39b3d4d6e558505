// Owns the rows of workers in DynamoDB. Each write of one row is one conditional UpdateItem;
// reserving and deleting are transactions, because a role may then be refused every other deletion.
// Does not own what the attributes mean (core/row/worker-row.ts) nor when a worker counts as live
// (core/replicate/budget.ts).
//
// The SDK sends a write again when its response was lost, so a write that is applied twice must
// mean the same as one:
//
//   begin         The second one finds its own `run` in the row, and has begun.
//   renew         The same number is the same renewal. A first sending that arrives behind a later
//                 renewal finds a higher number, and changes nothing.
//   declareEnded  The second one finds its own `endedBy`, and has ended the worker. A first sending
//                 that arrives late finds a lease that was renewed since, or the end.
//   assign        A set has each partition once. Where the answer is `refused` although the first
//                 one was applied, the partition is given twice, and one worker finds it held.

import { randomUUID } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { assert } from '../../core/assert.ts'
import {
  assignedPartitionsMax,
  clockSkewMsMax,
  reservedWorkersMax,
} from '../../core/config/defaults.ts'
import { CorruptRowError, type Row } from '../../core/row/row.ts'
import {
  assignedText,
  begunAttributes,
  readWorker,
  readWorkers,
  renewedAttributes,
  reservedAttributes,
  rosterKey,
  workerKey,
  workerListPrefix,
} from '../../core/row/worker-row.ts'
import type { EndDeclared, Renewal, WorkerStore } from './stores.ts'
import {
  getRow,
  listRows,
  type TableTarget,
  type TableWrite,
  updateRow,
  writeTogether,
} from './table-request.ts'
import { namesOf, updateExpression, valuesOf } from './update-expression.ts'

export function createWorkerStore(client: DynamoDBClient, table: string): WorkerStore {
  const target = { client, table }
  return {
    list: async flow => {
      const purpose = `listing the workers of flow ${flow}`
      return readWorkers(await listRows(target, purpose, { flow, prefix: workerListPrefix }))
    },
    reserve: input => reserveWorkers(target, input),
    reserveSuccessor: input => reserveSuccessor(target, input),
    begin: input => beginWorker(target, input),
    renew: input => renewWorker(target, input),
    assign: input => assignPartitions(target, input),
    declareEnded: input => declareEnded(target, input),
    end: input => endWorker(target, input),
    sweep: input => sweepWorker(target, input),
  }
}

type Input<Name extends keyof WorkerStore> = Parameters<WorkerStore[Name]>[0]

/** An update with a condition, whose names and values join those of the update. */
function conditional(
  parts: { readonly set: Row },
  condition: {
    readonly expression: string
    readonly names: readonly string[]
    readonly values?: Row
  },
) {
  const update = updateExpression(parts)
  return {
    UpdateExpression: update.UpdateExpression,
    ConditionExpression: condition.expression,
    ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...namesOf(condition.names) },
    ExpressionAttributeValues: {
      ...update.ExpressionAttributeValues,
      ...valuesOf(condition.values ?? {}),
    },
  }
}

const isAbsent = { expression: 'attribute_not_exists(#pk)', names: ['pk'] }

function reservation(input: Input<'reserve'>, worker: string): TableWrite {
  const update = conditional({ set: reservedAttributes(input) }, isAbsent)
  return { update: { ...update, Key: workerKey({ flow: input.flow, worker }) } }
}

async function reserveWorkers(
  target: TableTarget,
  input: Input<'reserve'>,
): ReturnType<WorkerStore['reserve']> {
  const { flow, roster, ids } = input
  assert(
    ids.length > 0 && ids.length <= reservedWorkersMax,
    `${ids.length} workers reserved at once`,
  )
  const counted = conditional(
    { set: { version: { N: String(roster + 1) } } },
    {
      // 0 is also the version of a roster that cannot be read: it is written anew.
      expression:
        roster === 0
          ? 'attribute_not_exists(#version) OR NOT attribute_type(#version, :number)'
          : '#version = :seen',
      names: ['version'],
      values: roster === 0 ? { number: { S: 'N' } } : { seen: { N: String(roster) } },
    },
  )
  const purpose = `reserving ${ids.length} workers of flow ${flow}`
  const outcome = await writeTogether(target, purpose, [
    { update: { ...counted, Key: rosterKey(flow) } },
    ...ids.map(worker => reservation(input, worker)),
  ])
  if (outcome.kind === 'written') return 'reserved'
  // No other plan uses these ids: a row is that of our own request, whose answer was lost.
  const [worker = ''] = ids
  return (await getRow(target, purpose, workerKey({ flow, worker }))) === null
    ? 'overtaken'
    : 'reserved'
}

async function reserveSuccessor(
  target: TableTarget,
  { flow, worker, successor, nowMs, untilMs }: Input<'reserveSuccessor'>,
): ReturnType<WorkerStore['reserveSuccessor']> {
  const named = conditional(
    { set: { successor: { S: successor } } },
    {
      expression:
        'attribute_exists(#pk) AND attribute_not_exists(#endedAtMs) AND attribute_not_exists(#successor)',
      names: ['pk', 'endedAtMs', 'successor'],
    },
  )
  const purpose = `reserving the successor of worker ${worker} (flow ${flow})`
  const outcome = await writeTogether(target, purpose, [
    { update: { ...named, Key: workerKey({ flow, worker }) } },
    reservation({ flow, roster: 0, ids: [successor], nowMs, untilMs }, successor),
  ])
  if (outcome.kind === 'written') return 'reserved'
  const row = await getRow(target, purpose, workerKey({ flow, worker }))
  return row?.successor?.S === successor && row.endedAtMs === undefined ? 'reserved' : 'refused'
}

async function beginWorker(
  target: TableTarget,
  input: Input<'begin'>,
): ReturnType<WorkerStore['begin']> {
  const claim = {
    expression:
      'attribute_exists(#pk) AND attribute_not_exists(#run) AND attribute_not_exists(#endedAtMs)',
    names: ['pk', 'run', 'endedAtMs'],
  }
  const outcome = await updateRow(target, `beginning worker ${input.worker} (flow ${input.flow})`, {
    ...conditional({ set: begunAttributes(input) }, input.isReserved ? claim : isAbsent),
    Key: workerKey(input),
  })
  if (outcome.kind === 'updated') return 'begun'
  // The response to our own claim was lost: `run` is unique to a run.
  const isOurs = outcome.row?.run?.S === input.run && outcome.row.endedAtMs === undefined
  return isOurs ? 'begun' : 'refused'
}

async function renewWorker(target: TableTarget, input: Input<'renew'>): Promise<Renewal> {
  const { flow, worker, run, taken } = input
  const update = conditional(
    { set: renewedAttributes(input) },
    {
      // A row that is gone has no run: a renewal never makes one.
      expression: '#run = :run AND attribute_not_exists(#endedAtMs) AND #renewals <= :renewals',
      names: ['run', 'endedAtMs', 'renewals'],
      values: { run: { S: run } },
    },
  )
  const removed = taken.length === 0 ? null : { SS: taken.map(assignedText) }
  const outcome = await updateRow(target, `renewing the lease of worker ${worker} (flow ${flow})`, {
    ...update,
    ...(removed === null
      ? {}
      : {
          UpdateExpression: `${update.UpdateExpression} DELETE #assigned :taken`,
          ExpressionAttributeNames: {
            ...update.ExpressionAttributeNames,
            ...namesOf(['assigned']),
          },
          ExpressionAttributeValues: {
            ...update.ExpressionAttributeValues,
            ...valuesOf({ taken: removed }),
          },
        }),
    Key: workerKey(input),
    ReturnValues: 'ALL_NEW',
  })
  const { row } = outcome
  if (row === null) return { kind: 'ended' }
  const isAlive = row.run?.S === run && row.endedAtMs === undefined
  if (outcome.kind === 'refused' && !isAlive) return { kind: 'ended' }
  // A refused renewal of a worker that lives is older than the one that the row has.
  return { kind: 'renewed', assigned: readWorker(row).assigned }
}

async function assignPartitions(
  target: TableTarget,
  { flow, worker, partitions, nowMs }: Input<'assign'>,
): ReturnType<WorkerStore['assign']> {
  const room = assignedPartitionsMax - partitions.length
  assert(partitions.length > 0 && room >= 0, `${partitions.length} partitions assigned at once`)
  const outcome = await updateRow(
    target,
    `assigning partitions to worker ${worker} (flow ${flow})`,
    {
      Key: workerKey({ flow, worker }),
      UpdateExpression: 'ADD #assigned :partitions',
      ConditionExpression:
        'attribute_exists(#run) AND attribute_not_exists(#endedAtMs) AND attribute_not_exists(#successor) ' +
        'AND #aliveUntilMs > :nowMs AND #renewedAtMs <= :datedUntilMs ' +
        'AND (attribute_not_exists(#assigned) OR size(#assigned) <= :room)',
      ExpressionAttributeNames: namesOf([
        ...['assigned', 'run', 'endedAtMs', 'successor', 'aliveUntilMs', 'renewedAtMs'],
      ]),
      ExpressionAttributeValues: valuesOf({
        partitions: { SS: partitions.map(assignedText) },
        nowMs: { N: String(nowMs) },
        datedUntilMs: { N: String(nowMs + clockSkewMsMax) },
        room: { N: String(room) },
      }),
    },
  )
  return outcome.kind === 'updated' ? 'assigned' : 'refused'
}

/** Declares the end of a worker, which is final; see `WorkerStore.declareEnded`. */
export async function declareEnded(
  target: TableTarget,
  input: Input<'declareEnded'>,
): Promise<EndDeclared> {
  const { flow, worker, nowMs, when } = input
  const endedBy = randomUUID()
  const notEnded = 'attribute_exists(#pk) AND attribute_not_exists(#endedAtMs)'
  const isOver = '(#aliveUntilMs <= :nowMs OR #renewedAtMs > :datedUntilMs)'
  const condition =
    when === 'in-any-case'
      ? { expression: notEnded, names: ['pk', 'endedAtMs'] }
      : {
          expression: `${notEnded} AND ${isOver}`,
          names: ['pk', 'endedAtMs', 'aliveUntilMs', 'renewedAtMs'],
          values: {
            nowMs: { N: String(nowMs) },
            datedUntilMs: { N: String(nowMs + clockSkewMsMax) },
          },
        }
  const outcome = await updateRow(target, `declaring the end of worker ${worker} (flow ${flow})`, {
    ...conditional(
      { set: { endedAtMs: { N: String(nowMs) }, endedBy: { S: endedBy } } },
      condition,
    ),
    Key: workerKey({ flow, worker }),
  })
  if (outcome.kind === 'updated') return { kind: 'ended-now' }
  const { row } = outcome
  if (row === null) return { kind: 'had-ended' }
  if (row.endedAtMs !== undefined) {
    return { kind: row.endedBy?.S === endedBy ? 'ended-now' : 'had-ended' }
  }
  try {
    return { kind: 'live', untilMs: readWorker(row).aliveUntilMs }
  } catch (error) {
    // A row that cannot be read proves no life, and its partitions must not wait for it.
    if (!(error instanceof CorruptRowError) || when === 'in-any-case') throw error
    return declareEnded(target, { ...input, when: 'in-any-case' })
  }
}

async function endWorker(target: TableTarget, input: Input<'end'>): Promise<void> {
  const purpose = `ending worker ${input.worker} (flow ${input.flow})`
  await writeTogether(target, purpose, [
    {
      remove: {
        Key: workerKey(input),
        ConditionExpression: '#run = :run',
        ExpressionAttributeNames: namesOf(['run']),
        ExpressionAttributeValues: valuesOf({ run: { S: input.run } }),
      },
    },
  ])
}

async function sweepWorker(
  target: TableTarget,
  input: Input<'sweep'>,
): ReturnType<WorkerStore['sweep']> {
  const purpose = `deleting the row of worker ${input.worker} (flow ${input.flow}), which has ended`
  const outcome = await writeTogether(target, purpose, [
    {
      remove: {
        Key: workerKey(input),
        ConditionExpression: '#endedAtMs < :before OR #aliveUntilMs < :before',
        ExpressionAttributeNames: namesOf(['endedAtMs', 'aliveUntilMs']),
        ExpressionAttributeValues: valuesOf({ before: { N: String(input.endedBeforeMs) } }),
      },
    },
  ])
  return outcome.kind === 'written' ? 'swept' : 'kept'
}
