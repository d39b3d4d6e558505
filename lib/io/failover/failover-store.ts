// Owns the state of a flow between its two clusters in DynamoDB: one row, moved by one conditional
// write at a time. Does not own what the states mean (core/failover) nor the attributes
// (core/row/failover-row.ts). Each write means the same when the SDK sends it twice.

import { randomUUID } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { FlowFailover } from '../../core/failover/flow-failover.ts'
import {
  type Driver,
  failoverAttributes,
  failoverKey,
  neverFailedOver,
  readFailover,
  type StoredFailover,
} from '../../core/row/failover-row.ts'
import { rowChange } from '../../core/row/row.ts'
import { rosterKey } from '../../core/row/worker-row.ts'
import { getRow, type TableTarget, updateRow } from '../table/table-request.ts'
import { namesOf, updateExpression, valuesOf } from '../table/update-expression.ts'

export type FailoverStore = {
  /** The state as it is stored, read consistently; active where there is no row. */
  read(flow: string): Promise<StoredFailover>
  /**
   * Stores the next state or step, on condition that the version is still `from`. `overtaken`:
   * another command has moved the flow since; nothing was written, and `stored` is what it is now.
   */
  move(input: {
    readonly flow: string
    readonly from: number
    readonly state: FlowFailover
    readonly driver: Driver
    readonly nowMs: number
  }): Promise<{ readonly kind: 'moved' | 'overtaken'; readonly stored: StoredFailover }>
  /**
   * Takes the decision to carry it out, on condition that the version and the driver are still
   * those that were seen: of two commands that find a dead one, one goes on.
   */
  drive(input: {
    readonly flow: string
    readonly seen: StoredFailover
    readonly driver: Driver
  }): Promise<'driving' | 'overtaken'>
  /** Says that the driver lives. `overtaken`: another command carries the decision out now. */
  renew(input: { readonly flow: string; readonly driver: Driver }): Promise<'driving' | 'overtaken'>
  /**
   * No tick that listed the workers before reserves one any more: the version of the roster, under
   * which it would, grows.
   */
  endReservations(flow: string): Promise<void>
}

export function createFailoverStore(client: DynamoDBClient, table: string): FailoverStore {
  const target = { client, table }
  const read = async (flow: string): Promise<StoredFailover> => {
    const row = await getRow(
      target,
      `reading whether flow ${flow} has failed over`,
      failoverKey(flow),
    )
    return row === null ? neverFailedOver : readFailover(row)
  }
  return {
    read,
    move: input => move(target, input),
    drive: input => drive(target, input),
    renew: input => renew(target, input),
    endReservations: flow => endReservations(target, flow),
  }
}

type Input<K extends keyof FailoverStore> = Parameters<FailoverStore[K]>[0]

async function move(
  target: TableTarget,
  { flow, from, state, driver, nowMs }: Input<'move'>,
): ReturnType<FailoverStore['move']> {
  const changeId = randomUUID()
  const { present, absent } = rowChange(failoverAttributes(state))
  const update = updateExpression({
    set: {
      ...present,
      ...driverAttributes(driver),
      version: { N: String(from + 1) },
      changedAtMs: { N: String(nowMs) },
      changeId: { S: changeId },
    },
    remove: absent,
  })
  const outcome = await updateRow(target, `storing that flow ${flow} is ${state.kind}`, {
    ...update,
    Key: failoverKey(flow),
    ConditionExpression: from === 0 ? 'attribute_not_exists(#version)' : '#version = :from',
    ExpressionAttributeValues: {
      ...update.ExpressionAttributeValues,
      ...(from === 0 ? {} : valuesOf({ from: { N: String(from) } })),
    },
    ReturnValues: 'ALL_NEW',
  })
  const { row } = outcome
  const stored = row === null ? neverFailedOver : readFailover(row)
  // The response to our own write was lost, and the SDK sent it again.
  const isOurs = outcome.kind === 'updated' || row?.changeId?.S === changeId
  return { kind: isOurs ? 'moved' : 'overtaken', stored }
}

function driverAttributes({ name, untilMs }: Driver) {
  return { driver: { S: name }, driverUntilMs: { N: String(untilMs) } }
}

async function drive(
  target: TableTarget,
  { flow, seen, driver }: Input<'drive'>,
): ReturnType<FailoverStore['drive']> {
  const update = updateExpression({ set: driverAttributes(driver) })
  const before = seen.driver
  const outcome = await updateRow(target, `going on with the fail-over of flow ${flow}`, {
    ...update,
    Key: failoverKey(flow),
    ConditionExpression:
      '#version = :version AND (#driver = :driver OR ' +
      (before === null
        ? 'attribute_not_exists(#driver))'
        : '(#driver = :seen AND #driverUntilMs = :seenUntilMs))'),
    ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...namesOf(['version']) },
    ExpressionAttributeValues: {
      ...update.ExpressionAttributeValues,
      ...valuesOf({ version: { N: String(seen.version) } }),
      ...(before === null
        ? {}
        : valuesOf({ seen: { S: before.name }, seenUntilMs: { N: String(before.untilMs) } })),
    },
  })
  return outcome.kind === 'updated' ? 'driving' : 'overtaken'
}

async function renew(
  target: TableTarget,
  { flow, driver }: Input<'renew'>,
): ReturnType<FailoverStore['renew']> {
  const update = updateExpression({ set: driverAttributes(driver) })
  const outcome = await updateRow(target, `carrying out the fail-over of flow ${flow}`, {
    ...update,
    Key: failoverKey(flow),
    ConditionExpression: '#driver = :driver',
  })
  return outcome.kind === 'updated' ? 'driving' : 'overtaken'
}

async function endReservations(target: TableTarget, flow: string): Promise<void> {
  const purpose = `ending the reservations of workers of flow ${flow}`
  const Key = rosterKey(flow)
  const names = { ExpressionAttributeNames: namesOf(['version']) }
  const outcome = await updateRow(target, purpose, {
    ...names,
    Key,
    UpdateExpression: 'ADD #version :one',
    ConditionExpression: 'attribute_not_exists(#version) OR attribute_type(#version, :number)',
    ExpressionAttributeValues: valuesOf({ one: { N: '1' }, number: { S: 'N' } }),
  })
  if (outcome.kind === 'updated') return
  // A roster that cannot be read counts as 0, and is written anew.
  await updateRow(target, purpose, {
    ...names,
    Key,
    UpdateExpression: 'SET #version = :one',
    ExpressionAttributeValues: valuesOf({ one: { N: '1' } }),
  })
}
