// Owns the shape of the one table and its creation for local endpoints and drills. In AWS the table
// is part of the stack (infra/table.yml, held equal by a test). Does not own the rows (core/row).

import { setTimeout } from 'node:timers/promises'
import {
  type AttributeDefinition,
  type BillingMode,
  CreateTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  type DynamoDBClient,
  type KeySchemaElement,
  ResourceInUseException,
  type TableDescription,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb'
import { ReplicatorError } from '../failure/replicator-error.ts'
import { describeEndpoint } from './dynamodb-client.ts'
import { sendTo, type TableTarget } from './table-request.ts'

export const tableShape: {
  readonly KeySchema: KeySchemaElement[]
  readonly AttributeDefinitions: AttributeDefinition[]
  readonly BillingMode: BillingMode
} = {
  // pk is the flow; sk is checkpoint/<topic>/<partition>, or a key of incident-moves.ts.
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' },
    { AttributeName: 'sk', KeyType: 'RANGE' },
  ],
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: 'S' },
    { AttributeName: 'sk', AttributeType: 'S' },
  ],
  // Writes come in a burst per tick: no capacity to provision, and idle partitions cost nothing.
  BillingMode: 'PAY_PER_REQUEST',
}

// A new table is ACTIVE at once locally and within about ten seconds in AWS.
const activePollsMax = 120
const activePollMs = 500

/**
 * Creates the table if it is missing, and returns once it is ACTIVE. Throws `ReplicatorError` when
 * a table of that name has other keys, or does not become ACTIVE within a minute.
 */
export async function createTable(
  client: DynamoDBClient,
  table: string,
): Promise<'created' | 'exists'> {
  const target = { client, table }
  const purpose = 'creating the table'
  const created = await sendTo(target, { operation: 'CreateTable', purpose }, async () => {
    try {
      await client.send(new CreateTableCommand({ TableName: table, ...tableShape }))
      return 'created'
    } catch (error) {
      if (error instanceof ResourceInUseException) return 'exists'
      throw error
    }
  })
  const description = await waitUntilActive(target)
  await expireIncidents(target)
  if (keysOf(description) !== keysOf(tableShape)) {
    throw new ReplicatorError({
      code: 'table-refused',
      message:
        `Table ${table} at ${await describeEndpoint(client)} exists with other keys: ` +
        `${keysOf(description)}, expected ${keysOf(tableShape)}.`,
      hint: 'Set GAPLESS_TABLE to another name.',
    })
  }
  return created
}

/**
 * DynamoDB deletes a row some time after the moment in this attribute (Unix time, s), up to days
 * later; only ended incidents have one. Nothing reads the attribute.
 */
export const timeToLive = { AttributeName: 'expiresAtS', Enabled: true } as const

async function expireIncidents(target: TableTarget): Promise<void> {
  const { client, table: TableName } = target
  const purpose = 'letting ended incidents expire'
  const described = await sendTo(target, { operation: 'DescribeTimeToLive', purpose }, () =>
    client.send(new DescribeTimeToLiveCommand({ TableName })),
  )
  const status = described.TimeToLiveDescription?.TimeToLiveStatus
  if (status === 'ENABLED' || status === 'ENABLING') return
  const command = new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification: timeToLive })
  await sendTo(target, { operation: 'UpdateTimeToLive', purpose }, async () => {
    try {
      await client.send(command)
    } catch (error) {
      // Another process that creates the table at the same time was faster.
      const isEnabled = error instanceof Error && /already enabled/i.test(error.message)
      if (!isEnabled) throw error
    }
  })
}

async function waitUntilActive(target: TableTarget): Promise<TableDescription> {
  const { client, table } = target
  const request = { operation: 'DescribeTable', purpose: 'waiting for the table' }
  let status = 'unknown'
  for (let count = 0; count < activePollsMax; count += 1) {
    if (count > 0) await setTimeout(activePollMs)
    const { Table } = await sendTo(target, request, () =>
      client.send(new DescribeTableCommand({ TableName: table })),
    )
    if (Table?.TableStatus === 'ACTIVE') return Table
    status = Table?.TableStatus ?? status
  }
  throw new ReplicatorError({
    code: 'table-overloaded',
    message:
      `Table ${table} at ${await describeEndpoint(client)} is ${status}, expected ACTIVE within ` +
      `${(activePollsMax * activePollMs) / 1000} s.`,
    hint: 'run: gapless init (again, once the table has settled)',
  })
}

/** The keys as text, comparable and readable in an error: `pk HASH S, sk RANGE S`. */
function keysOf(shape: Pick<TableDescription, 'KeySchema' | 'AttributeDefinitions'>): string {
  const typeOf = (name: string | undefined) =>
    shape.AttributeDefinitions?.find(each => each.AttributeName === name)?.AttributeType
  return (shape.KeySchema ?? [])
    .map(({ AttributeName, KeyType }) => `${AttributeName} ${KeyType} ${typeOf(AttributeName)}`)
    .join(', ')
}
