// The stores' contract on a real DynamoDB, the creation of its table, and answers that are lost.

import { randomUUID } from 'node:crypto'
import { CreateTableCommand, type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Row } from '../../lib/core/row/row.ts'
import { ReplicatorError } from '../../lib/io/failure/replicator-error.ts'
import { createCheckpointStore } from '../../lib/io/table/checkpoint-store.ts'
import { createDynamoDbClient, requestAttemptsMax } from '../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/table/incident-store.ts'
import { createNotificationStore } from '../../lib/io/table/notification-store.ts'
import { createTable, tableShape } from '../../lib/io/table/table.ts'
import {
  removeStarted,
  type StandInAws,
  startStandInAws,
} from '../../localstack/scratch/brokers.ts'
import { storeContract } from '../support/contracts/store-contract.ts'
import { partitionKey, replicating, truncation } from '../support/contracts/store-examples.ts'
import { loseAnswers } from '../support/doubles/lost-answers.ts'

let aws: StandInAws
let client: DynamoDBClient

beforeAll(async () => {
  aws = await startStandInAws()
  client = createDynamoDbClient(aws.env)
})

afterAll(async () => {
  client?.destroy()
  await removeStarted()
})

async function createStores() {
  const table = `gapless-${randomUUID()}`
  await createTable(client, table)
  return {
    table,
    checkpoints: createCheckpointStore(client, table),
    incidents: createIncidentStore(client, table),
    putRow: async (row: Row) => {
      await client.send(new PutItemCommand({ TableName: table, Item: row }))
    },
  }
}

storeContract(createStores)

describe('who was told of an incident', () => {
  test('the notified state of an incident is kept in its row, and changes nothing else of the incident', async () => {
    const { table, incidents } = await createStores()
    const notifications = createNotificationStore(client, table)
    const { flow, id } = truncation()
    await incidents.record(truncation())
    expect(await notifications.listUntold(flow)).toEqual([truncation()])
    await notifications.markTold(truncation())
    expect(await notifications.listUntold(flow)).toEqual([])
    // The same incident is detected again: nothing to notify.
    await incidents.record(truncation())
    expect(await notifications.listUntold(flow)).toEqual([])

    await incidents.resolve({ flow, id, resolution: 'resumed', nowMs: 1_700_000_000_001 })

    const resumed = truncation({ resolution: 'resumed' })
    expect(await notifications.listUntold(flow)).toEqual([resumed])
    // The mark of an older state arrives late.
    await notifications.markTold(truncation())
    expect(await notifications.listUntold(flow)).toEqual([resumed])
    await notifications.markTold(resumed)
    expect(await notifications.listUntold(flow)).toEqual([])
    expect((await incidents.list(flow, 'all')).incidents).toEqual([resumed])
  })

  test('marking an incident as notified makes no row for one that an operator deleted', async () => {
    const { table, incidents } = await createStores()
    await createNotificationStore(client, table).markTold(truncation())
    expect(await incidents.list(truncation().flow, 'all')).toEqual({ incidents: [], corrupt: [] })
  })
})

describe('the table', () => {
  test('a table is created once: a second creation finds it, with its rows', async () => {
    const table = `gapless-${randomUUID()}`
    expect(await createTable(client, table)).toBe('created')
    await createIncidentStore(client, table).record(truncation())
    expect(await createTable(client, table)).toBe('exists')
    const { incidents } = await createIncidentStore(client, table).list(truncation().flow, 'all')
    expect(incidents).toHaveLength(1)
  })

  test('a table is created by one of several that try at once, and found by the others', async () => {
    const table = `gapless-${randomUUID()}`
    const answers = await Promise.all([1, 2, 3].map(() => createTable(client, table)))
    expect(answers.sort()).toEqual(['created', 'exists', 'exists'])
  })

  test('a table of another shape under the same name is refused, and the error names both shapes', async () => {
    const table = `gapless-${randomUUID()}`
    await client.send(
      new CreateTableCommand({
        ...tableShape,
        TableName: table,
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'N' }],
      }),
    )
    await expect(createTable(client, table)).rejects.toMatchObject({
      code: 'table-refused',
      message: expect.stringContaining('pk HASH N, expected pk HASH S, sk RANGE S'),
      hint: 'Set GAPLESS_TABLE to another name.',
    })
  })

  test('a missing table gives an error with table, endpoint, request, purpose and what to run', async () => {
    const table = `gapless-${randomUUID()}`
    const acquired = createCheckpointStore(client, table).acquire(asked)
    await expect(acquired).rejects.toThrow(ReplicatorError)
    await expect(acquired).rejects.toMatchObject({
      code: 'table-missing',
      message: expect.stringMatching(
        new RegExp(
          `^DynamoDB UpdateItem on table ${table} at ${aws.endpoint} failed while ` +
            'taking the lease of commit-log-0 \\(flow primary-to-standby\\): ',
        ),
      ),
      hint: expect.stringMatching(/^run: gapless init/),
    })
  })
})

const t0 = 1_700_000_000_000
const asked = {
  key: partitionKey(),
  targetTopic: 'primary.commit-log',
  owner: 'run-1',
  nowMs: t0,
  leaseMs: 20_000,
}

describe('when the answer to a write is lost', () => {
  let stores: Awaited<ReturnType<typeof createStores>>
  let lossy: DynamoDBClient
  let checkpoints: ReturnType<typeof createCheckpointStore>

  beforeEach(async () => {
    stores = await createStores()
    lossy = createDynamoDbClient(aws.env)
    checkpoints = createCheckpointStore(lossy, stores.table)
    return () => lossy.destroy()
  })

  test('a lease that was free is ours, once, and the hand-over is clean', async () => {
    const lost = loseAnswers(lossy, 1)
    const acquired = await checkpoints.acquire(asked)
    expect(lost.left()).toBe(0)
    expect(acquired).toMatchObject({
      kind: 'acquired',
      cleanHandOver: true,
      checkpoint: { lease: { owner: 'run-1', fence: 1 } },
    })
  })

  test('a lease that had run out is ours, and the hand-over is not clean', async () => {
    await stores.checkpoints.acquire({ ...asked, owner: 'run-0', nowMs: t0 - asked.leaseMs })
    const lost = loseAnswers(lossy, 1)
    const acquired = await checkpoints.acquire(asked)
    expect(lost.left()).toBe(0)
    expect(acquired).toMatchObject({
      kind: 'acquired',
      cleanHandOver: false,
      checkpoint: { lease: { owner: 'run-1', fence: 2 } },
    })
  })

  test.each([
    ['renews', { kind: 'renew', untilMs: t0 + 2 * asked.leaseMs }, t0 + 2 * asked.leaseMs],
    ['releases', { kind: 'release' }, null],
  ] as const)('a save that %s is saved', async (_, lease, untilMs) => {
    await checkpoints.acquire(asked)
    const lost = loseAnswers(lossy, 1)
    const input = { key: asked.key, fence: 1, write: 1, state: replicating, nowMs: t0 + 1, lease }
    expect(await checkpoints.save(input)).toBe('saved')
    expect(lost.left()).toBe(0)
    expect(await stores.checkpoints.get(asked.key)).toMatchObject({
      state: replicating,
      lease: { owner: 'run-1', fence: 1, untilMs },
    })
  })

  test('an incident is recorded once and resolved as asked', async () => {
    const incidents = createIncidentStore(lossy, stores.table)
    const incident = truncation()
    const lostRecord = loseAnswers(lossy, 1)
    await incidents.record(incident)
    expect(lostRecord.left()).toBe(0)
    const lostResolve = loseAnswers(lossy, 1)
    const { flow, id, detectedAtMs } = incident
    await incidents.resolve({ flow, id, resolution: 'resumed', nowMs: detectedAtMs + 1 })
    expect(lostResolve.left()).toBe(0)
    expect((await stores.incidents.list(flow, 'all')).incidents).toEqual([
      truncation({ resolution: 'resumed' }),
    ])
  })

  test('an owner whose answers are all lost gets an error that says so, and finds its lease later', async () => {
    const lost = loseAnswers(lossy, requestAttemptsMax)
    await expect(checkpoints.acquire(asked)).rejects.toMatchObject({
      code: 'table-unreachable',
      message: expect.stringContaining('ECONNRESET'),
    })
    expect(lost.left()).toBe(0)
    expect(await stores.checkpoints.acquire(asked)).toMatchObject({
      kind: 'acquired',
      cleanHandOver: true,
      checkpoint: { lease: { fence: 1 } },
    })
  })
})
