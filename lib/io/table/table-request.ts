// Owns the requests that the stores send: a conditional update of one row, alone or with a check of
// another row, and the listing of the rows of a flow. A failed request throws `ReplicatorError`; a
// condition that does not hold is a value. Does not own what is written (checkpoint-store.ts,
// incident-store.ts).

import { setTimeout } from 'node:timers/promises'
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type ConditionCheck,
  type Delete,
  type DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  type Update,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb'
import { conflictAttemptsMax, conflictBackoffMs } from '../../core/config/defaults.ts'
import { backoffMs } from '../../core/replicate/budget.ts'
import type { Row, StoredRow } from '../../core/row/row.ts'
import { ReplicatorError } from '../failure/replicator-error.ts'
import { describeEndpoint } from './dynamodb-client.ts'
import { isConflict, tableError } from './table-error.ts'

/** A page has 1 MB, some two thousand rows, so this is far beyond the partitions of any cluster. */
export const listPagesMax = 500

export type TableTarget = { readonly client: DynamoDBClient; readonly table: string }

/**
 * Sends one request. An error that remains after the SDK's retries becomes a `ReplicatorError`. The
 * SDK sends no request again that conflicts with a transaction of another client on the same row,
 * so this function does, `conflictAttemptsMax` times in all. Nothing was written then.
 */
export async function sendTo<T>(
  { client, table }: TableTarget,
  { operation, purpose }: { readonly operation: string; readonly purpose: string },
  send: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await send()
    } catch (error) {
      if (isConflict(error) && attempt + 1 < conflictAttemptsMax) {
        // Two that met would meet again after the same wait.
        await setTimeout(backoffMs(attempt, conflictBackoffMs) * (1 + Math.random()))
        continue
      }
      const endpoint = await describeEndpoint(client)
      throw tableError({ table, endpoint, operation, purpose }, error)
    }
  }
}

/** One write of a transaction. */
export type TableWrite =
  | { readonly check: Omit<ConditionCheck, 'TableName'> }
  | { readonly update: Omit<Update, 'TableName'> }
  | { readonly remove: Omit<Delete, 'TableName'> }

export type UpdateOutcome =
  /** `row` is the one that `ReturnValues` asks for; empty without it. */
  | { readonly kind: 'updated'; readonly row: StoredRow }
  /** The condition did not hold, and nothing was written. `row` is the present one, if any. */
  | { readonly kind: 'refused'; readonly row: StoredRow | null }

/**
 * Sends one UpdateItem. When the condition fails the response has the present row, so no second
 * request is needed to read it.
 */
export function updateRow(
  target: TableTarget,
  purpose: string,
  input: Omit<UpdateItemCommandInput, 'TableName' | 'ReturnValuesOnConditionCheckFailure'>,
): Promise<UpdateOutcome> {
  const command = new UpdateItemCommand({
    ...input,
    TableName: target.table,
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  })
  return sendTo(target, { operation: 'UpdateItem', purpose }, async () => {
    try {
      const { Attributes } = await target.client.send(command)
      return { kind: 'updated', row: Attributes ?? {} }
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error
      return { kind: 'refused', row: error.Item ?? null }
    }
  })
}

/** `failed`: the indexes of the writes whose condition did not hold; nothing was written. */
export type TransactionOutcome =
  | { readonly kind: 'written' }
  | { readonly kind: 'refused'; readonly failed: readonly number[] }

/**
 * Performs writes of several rows, all of them or none. A write costs twice as much as on its own,
 * so this is for rare writes only.
 */
export function writeTogether(
  target: TableTarget,
  purpose: string,
  writes: readonly TableWrite[],
): Promise<TransactionOutcome> {
  const { table: TableName } = target
  // The SDK gives the command an idempotency token, so DynamoDB performs it once however often it
  // is sent.
  const command = new TransactWriteItemsCommand({
    TransactItems: writes.map((write): TransactWriteItem => {
      if ('check' in write) return { ConditionCheck: { ...write.check, TableName } }
      if ('update' in write) return { Update: { ...write.update, TableName } }
      return { Delete: { ...write.remove, TableName } }
    }),
  })
  return sendTo(target, { operation: 'TransactWriteItems', purpose }, async () => {
    try {
      await target.client.send(command)
      return { kind: 'written' }
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error
      // A condition that does not hold is an answer, whatever else the other rows met.
      const failed = (error.CancellationReasons ?? []).flatMap(({ Code }, index) =>
        Code === 'ConditionalCheckFailed' ? [index] : [],
      )
      if (failed.length === 0) throw error
      return { kind: 'refused', failed }
    }
  })
}

/** The row with this key, read consistently; null when there is none. */
export async function getRow(
  target: TableTarget,
  purpose: string,
  key: Row,
): Promise<StoredRow | null> {
  const command = new GetItemCommand({ TableName: target.table, Key: key, ConsistentRead: true })
  const answer = await sendTo(target, { operation: 'GetItem', purpose }, () =>
    target.client.send(command),
  )
  return answer.Item ?? null
}

export type RowQuery = {
  readonly flow: string
  /** Null: every row of the flow. */
  readonly prefix: string | null
  readonly filter?: {
    readonly expression: string
    readonly names: Record<string, string>
    readonly values: Row
  }
}

/** Every row of a flow whose sort key begins with `prefix`, read consistently, by sort key. */
export async function listRows(
  target: TableTarget,
  purpose: string,
  query: RowQuery,
): Promise<StoredRow[]> {
  const rows: StoredRow[] = []
  for await (const page of pagesOf(target, purpose, query)) rows.push(...page)
  return rows
}

/** The same rows, one page (1 MB) at a time, so that only one is in memory. */
export async function* pagesOf(
  target: TableTarget,
  purpose: string,
  { flow, prefix, filter }: RowQuery,
): AsyncGenerator<readonly StoredRow[]> {
  let read = 0
  let startKey: Record<string, AttributeValue> | undefined
  for (let page = 0; page < listPagesMax; page += 1) {
    const command = new QueryCommand({
      TableName: target.table,
      // An eventually consistent read could show a lease that was just released as held.
      ConsistentRead: true,
      KeyConditionExpression: `#pk = :flow${prefix === null ? '' : ' AND begins_with(#sk, :prefix)'}`,
      ExpressionAttributeNames: {
        ...{ '#pk': 'pk', ...(prefix === null ? {} : { '#sk': 'sk' }) },
        ...filter?.names,
      },
      ExpressionAttributeValues: {
        ':flow': { S: flow },
        ...(prefix === null ? {} : { ':prefix': { S: prefix } }),
        ...filter?.values,
      },
      ...(filter === undefined ? {} : { FilterExpression: filter.expression }),
      ...(startKey === undefined ? {} : { ExclusiveStartKey: startKey }),
    })
    const answer = await sendTo(target, { operation: 'Query', purpose }, () =>
      target.client.send(command),
    )
    const rows = answer.Items ?? []
    read += rows.length
    if (rows.length > 0) yield rows
    startKey = answer.LastEvaluatedKey
    if (startKey === undefined) return
  }
  // A list that ended here would pass for complete, and partitions would be left out in silence.
  throw new ReplicatorError({
    code: 'table-refused',
    message:
      `Flow ${flow} has more than ${listPagesMax} pages of rows ${prefix ?? ''}* in table ${target.table} at ` +
      `${await describeEndpoint(target.client)}; ${read} rows were read while ${purpose}.`,
    hint: 'Divide the flow into several. Ended incidents expire: is the time to live (expiresAtS) of the table enabled?',
  })
}
