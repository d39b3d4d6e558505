// A checkpoint table that was deleted and created empty, and a standby that another application has
// filled: detected before a record is copied, and repaired from the records of the standby.

import { DeleteTableCommand } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { records } from '../support/kafka/records.ts'
import {
  outcomesOf,
  type SharedFlowFixture,
  smallBudgets,
  textsOf,
} from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

const all = records(0, 300)

async function loseTable(): Promise<void> {
  const client = createDynamoDbClient(world.aws.env)
  await client.send(new DeleteTableCommand({ TableName: world.table }))
  expect(await createTable(client, world.table)).toBe('created')
  client.destroy()
}

test('a table that was lost is noticed, nothing is replicated twice, and resume goes on behind what is there', async () => {
  await world.createTopic('lost', { partitions: 3 })
  const flow = world.flow(['lost'], { budgets: smallBudgets })
  const produce = async (from: number, to: number, partitions: readonly number[]) => {
    for (const partition of partitions) {
      await world.produceInBatches('lost', all.slice(from, to), { size: 7, partition })
    }
  }
  const readAll = () => Promise.all([0, 1, 2].map(each => world.readStandby('lost', each)))
  await produce(0, 150, [0, 1])
  await world.run(flow)
  const before = await readAll()
  await loseTable()
  await produce(150, 300, [0, 1])
  // Deletes records from both sides, as retention would.
  await world.deleteRecords('lost', 45, 1)

  const first = await world.run(flow)
  const second = await world.run(flow)

  for (const result of [first, second]) {
    // The third partition has no record, so it starts as a new partition.
    expect(outcomesOf(result)).toEqual(['halted', 'halted', 'drained'])
    expect(textsOf(result)).toContainEqual(expect.stringContaining('gapless resume lost:0'))
  }
  expect(await readAll()).toEqual(before)
  // Partitions are observed concurrently, so the order of their incidents is not fixed.
  const place = ({ partition }: { readonly partition: number | null }) => partition ?? -1
  const found = second.incidents.toSorted((left, right) => place(left) - place(right))
  expect(found).toMatchObject([
    { kind: 'target-not-empty', partition: 0, resolution: 'open', foundOffset: 150n },
    { kind: 'target-not-empty', partition: 1, resolution: 'open', foundOffset: 150n },
  ])

  const resumed = [await world.resume(flow, 'lost', 0), await world.resume(flow, 'lost', 1)]
  await produce(0, 20, [2])
  const last = await world.run(flow)

  expect(resumed.map(each => [each.position.nextSourceOffset, each.skippedOffsets])).toEqual([
    [150n, 0n],
    [150n, 0n],
  ])
  expect(outcomesOf(last)).toEqual(['drained', 'drained', 'drained'])
  expect(await readAll()).toEqual([all, all, all.slice(0, 20)])
  expect(last.incidents.map(each => each.resolution)).toEqual(['resumed', 'resumed'])
})

test('a standby that another replicator has filled halts; resume goes on where that one ended', async () => {
  await world.createTopic('mirrored')
  await world.createStandbyTopic('primary.mirrored')
  const flow = world.flow(['mirrored'])
  await world.produceInBatches('mirrored', all, { size: 10 })
  await world.produceToStandby('primary.mirrored', all.slice(0, 123))

  const found = await world.run(flow)
  const { position, skippedOffsets } = await world.resume(flow, 'mirrored', 0)
  const last = await world.run(flow)

  expect(outcomesOf(found)).toEqual(['halted'])
  // The offset is in the middle of a batch of the source.
  expect([position.nextSourceOffset, skippedOffsets]).toEqual([123n, 0n])
  expect(outcomesOf(last)).toEqual(['drained'])
  expect(await world.readStandby('mirrored')).toEqual(all)
})

test('a standby of other records is not taken for ours: an operator must say where to go on', async () => {
  await world.createTopic('foreign')
  await world.createStandbyTopic('primary.foreign')
  const flow = world.flow(['foreign'])
  const foreign = records(1_000, 1_050)
  await world.produceInBatches('foreign', all)
  await world.produceToStandby('primary.foreign', foreign)
  expect(outcomesOf(await world.run(flow))).toEqual(['halted'])

  await expect(world.resume(flow, 'foreign', 0)).rejects.toThrow(/stays halted.* not found/)
  expect(outcomesOf(await world.run(flow))).toEqual(['halted'])
  await world.resume(flow, 'foreign', 0, 'log-start')

  expect(outcomesOf(await world.run(flow))).toEqual(['drained'])
  expect(await world.readStandby('foreign')).toEqual([...foreign, ...all])
})
