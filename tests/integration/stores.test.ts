// The stores' contract on a real DynamoDB, the creation of its table, and answers that are lost.

import { randomUUID } from 'node:crypto'
import {
  CreateTableCommand,
  DescribeTimeToLiveCommand,
  type DynamoDBClient,
  PutItemCommand,
  QueryCommand,
} from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { movedIncidentsMax } from '../../lib/core/config/defaults.ts'
import { incidentChange, incidentKey, incidentPrefix } from '../../lib/core/row/incident-row.ts'
import type { Row } from '../../lib/core/row/row.ts'
import { createFailoverStore } from '../../lib/io/failover/failover-store.ts'
import { ReplicatorError } from '../../lib/io/failure/replicator-error.ts'
import { createCheckpointStore } from '../../lib/io/table/checkpoint-store.ts'
import { createDynamoDbClient, requestAttemptsMax } from '../../lib/io/table/dynamodb-client.ts'
import { createIncidentHistory } from '../../lib/io/table/incident-history.ts'
import { createIncidentStore } from '../../lib/io/table/incident-store.ts'
import { createNotificationStore } from '../../lib/io/table/notification-store.ts'
import { createTable, tableShape } from '../../lib/io/table/table.ts'
import { createWorkerStore } from '../../lib/io/table/worker-store.ts'
import {
  removeStarted,
  type StandInAws,
  startStandInAws,
} from '../../localstack/scratch/brokers.ts'
import { storeContract } from '../support/contracts/store-contract.ts'
import { partitionKey, replicating, truncation } from '../support/contracts/store-examples.ts'
import { loseAnswers } from '../support/table/lost-answers.ts'

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
    workers: createWorkerStore(client, table),
    incidents: createIncidentStore(client, table),
    failovers: createFailoverStore(client, table),
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

describe('the history of incidents', () => {
  const { flow, detectedAtMs } = truncation()
  const rowsRead = async (table: string) => {
    const { ScannedCount } = await client.send(
      new QueryCommand({
        TableName: table,
        KeyConditionExpression: 'pk = :flow AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':flow': { S: flow }, ':prefix': { S: incidentPrefix } },
      }),
    )
    return ScannedCount
  }

  test('the open incidents are found by their key alone, however many have ended', async () => {
    const { table, incidents } = await createStores()
    for (let each = 0; each < 20; each += 1) {
      await incidents.record(truncation({ id: `policy-${each}`, resolution: 'continued' }))
      await incidents.record(truncation({ id: `operator-${each}` }))
      const id = `operator-${each}`
      await incidents.resolve({ flow, id, resolution: 'resumed', nowMs: detectedAtMs + 1 })
    }
    await incidents.record(truncation())
    expect((await incidents.list(flow, 'open')).incidents).toEqual([truncation()])
    expect(await rowsRead(table)).toBe(1)
    expect((await incidents.list(flow, 'all')).incidents).toHaveLength(41)
  })

  test('an incident that is detected and ended by several at once is kept once', async () => {
    const { incidents } = await createStores()
    const { id } = truncation()
    for (let round = 0; round < 5; round += 1) {
      await incidents.record(truncation())
      const end = () =>
        incidents.resolve({ flow, id, resolution: 'recovered', nowMs: detectedAtMs })
      await Promise.all([end(), incidents.record(truncation()), end()])
      expect((await incidents.list(flow, 'all')).incidents).toHaveLength(1)
    }
  })

  test('incidents that an earlier version ended in place are moved to the history, some in each tick', async () => {
    const { table, incidents, putRow } = await createStores()
    const history = createIncidentHistory(client, table)
    const count = movedIncidentsMax + 5
    for (let each = 0; each < count; each += 1) {
      const ended = truncation({ id: `old-${each}`, resolution: 'recovered' })
      const { set, setIfAbsent } = incidentChange(ended)
      await putRow({ ...incidentKey(ended), ...setIfAbsent, ...set })
    }
    await incidents.record(truncation())
    expect(await history.moveEnded(flow, detectedAtMs)).toBe(movedIncidentsMax)
    expect(await history.moveEnded(flow, detectedAtMs)).toBe(5)
    expect(await history.moveEnded(flow, detectedAtMs)).toBe(0)
    expect(await rowsRead(table)).toBe(1)
    expect((await incidents.list(flow, 'all')).incidents).toHaveLength(count + 1)
  })

  test('the newest incidents are read page by page, and the older ones are counted', async () => {
    const { table, incidents } = await createStores()
    // Three pages of 1 MB.
    const detail = 'x'.repeat(12_000)
    for (let each = 0; each < 200; each += 1) {
      const atMs = detectedAtMs + each
      const evidence = { detail }
      const resolution = each === 7 ? 'open' : 'continued'
      await incidents.record(
        truncation({ id: `${each}`, detectedAtMs: atMs, evidence, resolution }),
      )
    }
    const { newest } = createIncidentHistory(client, table)
    const all = { flows: [flow, 'another'], which: 'all', sinceMs: 0, limit: 3 } as const
    const last = await newest(all)
    expect(last.incidents.map(each => each.id)).toEqual(['197', '198', '199'])
    expect(last).toMatchObject({ leftOut: 197, corrupt: [] })
    const since = await newest({ ...all, sinceMs: detectedAtMs + 198 })
    expect(since).toMatchObject({ incidents: [{ id: '198' }, { id: '199' }], leftOut: 0 })
    expect(await newest({ ...all, which: 'open' })).toMatchObject({ incidents: [{ id: '7' }] })
  })
})

describe('the table', () => {
  test('a table lets ended incidents expire, also one that was created before they did', async () => {
    const table = `gapless-${randomUUID()}`
    const timeToLive = async () => {
      const asked = new DescribeTimeToLiveCommand({ TableName: table })
      return (await client.send(asked)).TimeToLiveDescription
    }
    await client.send(new CreateTableCommand({ TableName: table, ...tableShape }))
    expect(await timeToLive()).not.toMatchObject({ TimeToLiveStatus: 'ENABLED' })
    for (const _ of [1, 2]) {
      await createTable(client, table)
      expect(await timeToLive()).toMatchObject({
        TimeToLiveStatus: 'ENABLED',
        AttributeName: 'expiresAtS',
      })
    }
  })

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
