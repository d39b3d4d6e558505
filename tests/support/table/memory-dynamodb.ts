// Owns a DynamoDB in memory behind the interface of its client: for tests that run the stores of
// lib/io/table, with every request a step of its own. Not implemented: pages, transactions that
// conflict, and what the stores do not use.

import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb'
import type { Row, StoredRow } from '../../../lib/core/row/row.ts'
import { type Attribute, holds, updated } from './expressions.ts'
import type { Rows } from './memory-rows.ts'

/** A request, and the function that serves it in one step. */
export type Serving = (command: unknown, serve: () => unknown) => Promise<unknown>

type Conditional = {
  readonly Key?: Record<string, AttributeValue> | undefined
  readonly ConditionExpression?: string | undefined
  readonly UpdateExpression?: string | undefined
  readonly ExpressionAttributeNames?: Record<string, string> | undefined
  readonly ExpressionAttributeValues?: Record<string, AttributeValue> | undefined
}

/** `serving` may serve a request later, twice or never, and may lose its answer. */
export function createMemoryDynamoDb(
  rows: Rows,
  serving: Serving = async (_, serve) => serve(),
): DynamoDBClient {
  const client = {
    config: { endpoint: async () => ({ protocol: 'http:', hostname: 'memory', path: '/' }) },
    send: (command: unknown) => serving(command, () => serve(rows, command)),
  }
  return client as unknown as DynamoDBClient
}

/** Serves one request at once. Throws what DynamoDB answers where a condition does not hold. */
export function serve(rows: Rows, command: unknown): unknown {
  if (command instanceof GetItemCommand) return { Item: rows.get(keyOf(command.input)) }
  if (command instanceof UpdateItemCommand) return update(rows, command.input)
  if (command instanceof QueryCommand) {
    const { ExpressionAttributeValues: values, FilterExpression: filter } = command.input
    const found = rows.list(values?.[':flow']?.S ?? '', values?.[':prefix']?.S ?? '')
    const kept = found.filter(row => filter === undefined || isTrue(command.input, filter, row))
    return { Items: kept.toSorted((left, right) => (sortOf(left) < sortOf(right) ? -1 : 1)) }
  }
  if (command instanceof TransactWriteItemsCommand) return writeAll(rows, command.input)
  throw new Error(`no such request: ${command}`)
}

function update(rows: Rows, input: UpdateItemCommandInput): unknown {
  const before = rows.get(keyOf(input))
  if (!isMet(input, before)) {
    const message = 'The conditional request failed'
    throw new ConditionalCheckFailedException({
      message,
      $metadata: {},
      ...(before === undefined ? {} : { Item: before as Record<string, AttributeValue> }),
    })
  }
  const row = write(rows, input)
  return input.ReturnValues === 'ALL_NEW' ? { Attributes: row } : {}
}

function writeAll(rows: Rows, { TransactItems = [] }: TransactWriteItemsCommand['input']): unknown {
  const met = TransactItems.map(({ ConditionCheck, Update, Delete }) => {
    const item = ConditionCheck ?? Update ?? Delete
    if (item === undefined) throw new Error('no such write')
    return isMet(item, rows.get(keyOf(item)))
  })
  if (met.includes(false)) {
    const CancellationReasons = met.map(each => ({
      Code: each ? 'None' : 'ConditionalCheckFailed',
    }))
    const message = 'Transaction cancelled'
    throw new TransactionCanceledException({ message, $metadata: {}, CancellationReasons })
  }
  for (const { Update, Delete } of TransactItems) {
    if (Update !== undefined) write(rows, Update)
    if (Delete !== undefined) rows.remove(keyOf(Delete))
  }
  return {}
}

function write(rows: Rows, item: Conditional): StoredRow {
  const key = keyOf(item)
  const before = rows.get(key) ?? {}
  const row = { ...updated(item.UpdateExpression ?? '', before, placeholdersOf(item)), ...key }
  rows.put(row)
  return row
}

function isMet(item: Conditional, row: StoredRow | undefined): boolean {
  const { ConditionExpression: expression } = item
  return expression === undefined || isTrue(item, expression, row ?? {})
}

function isTrue(item: Conditional, expression: string, row: StoredRow): boolean {
  return holds(expression, row, placeholdersOf(item))
}

function placeholdersOf({ ExpressionAttributeNames, ExpressionAttributeValues }: Conditional) {
  const values = (ExpressionAttributeValues ?? {}) as Record<string, Attribute>
  return { names: ExpressionAttributeNames ?? {}, values }
}

function keyOf({ Key }: Conditional): Row {
  return (Key ?? {}) as Row
}

function sortOf({ sk }: StoredRow): string {
  return sk?.S ?? ''
}
