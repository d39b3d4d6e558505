// Records of the old source that never travelled are written into a topic of their own on the
// standby before a fail-back is decided, on real brokers: whole, once, and never a part unseen.

import { randomUUID } from 'node:crypto'
import type { Admin } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { exportBatchRecords } from '../../lib/core/config/failover-limits.ts'
import type { Cluster } from '../../lib/io/cluster/cluster.ts'
import { BrokerFailure } from '../../lib/io/failure/broker-failure.ts'
import { exportToTopic } from '../../lib/run/failback/export-topic.ts'
import type { FailbackDeps } from '../../lib/run/failback/failback.ts'
import { divergencesOf } from '../../lib/run/failback/ways.ts'
import { contentsOf, inChunks, records } from '../support/kafka/records.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})

afterAll(async () => {
  await world?.disconnect()
})

const append = { divergent: 'append' } as const
const refuse = { divergent: 'refuse' } as const

/** A topic whose first ten records were copied; it has failed over, and the rest never travels. */
async function failedOver(partitions = 1): Promise<{ topic: string; flow: FlowConfig }> {
  const topic = `export-${randomUUID()}`
  await world.createTopic(topic, { partitions })
  await world.produce(topic, records(0, 10))
  const flow = world.flow([topic], { naming: 'identity' })
  await world.run(flow)
  await world.failOver(flow, { how: 'unplanned', topics: null })
  return { topic, flow }
}

/** Writes to a topic as the command line does, with `change` on the way. */
function exportTo(name: string, change: (deps: FailbackDeps) => FailbackDeps = each => each) {
  return (deps: FailbackDeps): Partial<FailbackDeps> => ({
    exportDivergent: async (flow, returning) => {
      const divergences = divergencesOf(returning)
      await exportToTopic(change(deps), flow, { topic: name, divergences })
    },
  })
}

/** The standby, where `produce` answers otherwise. */
const producing =
  (produce: (real: Cluster['produce']) => Cluster['produce']) =>
  (deps: FailbackDeps): FailbackDeps => {
    const real: Cluster['produce'] = (...input) => deps.target.produce(...input)
    return { ...deps, target: { ...deps.target, produce: produce(real) } }
  }

const newName = () => `divergent-${randomUUID()}`

const exported = async (name: string) => contentsOf(await world.readAll('standby', name))

/** What a consumer of the source sees, with the headers that say where it lay. */
async function withOrigin(topic: string, partition: number, from: number) {
  const read = await world.readAll('primary', topic, partition)
  const contents = contentsOf(read)
  return read.slice(from).map(({ offset }, index) => {
    const each = contents[from + index]
    const origin = {
      'gapless.source.topic': topic,
      'gapless.source.partition': String(partition),
      'gapless.source.offset': offset,
    }
    return { ...each, headers: { ...each?.headers, ...origin } }
  })
}

const configsOf = (name: string) =>
  world.onStandby(async (admin: Admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name }],
    })
    const entries = resources[0]?.configEntries ?? []
    return Object.fromEntries(entries.map(each => [each.configName, each.configValue]))
  })

test('a refused fail-back has written every divergent record, as it is, with its place on the source', async () => {
  const { topic, flow } = await failedOver(2)
  await world.produce(topic, [
    ...records(10, 5),
    { key: null, value: null, headers: { twice: ['a', 'b'] } },
  ])
  const producer = world.primaryKafka.producer({
    ...{ idempotent: true, maxInFlightRequests: 1, transactionalId: `export-${randomUUID()}` },
  })
  await producer.connect()
  for (const [index, chunk] of inChunks(records(20, 9), 3).entries()) {
    const transaction = await producer.transaction()
    const messages = chunk.map(each => ({ ...each, partition: 1 }))
    await transaction.send({ topic, messages, compression: kafkajs.CompressionTypes.GZIP })
    await (index === 1 ? transaction.abort() : transaction.commit())
  }
  await producer.disconnect()
  const name = newName()

  const refused = await world.failBack(flow, refuse, exportTo(name))

  expect(refused).toMatchObject({ kind: 'refused', state: { kind: 'failed-over' } })
  const both = [...(await withOrigin(topic, 0, 10)), ...(await withOrigin(topic, 1, 0))]
  expect(await exported(name)).toEqual(both)
  expect(both).toHaveLength(12)
  const kept = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' }
  expect(await configsOf(name)).toMatchObject(kept)
  const again = world.failBack(flow, append, exportTo(name))
  await expect(again).rejects.toMatchObject({
    code: 'failover-refused',
    message: expect.stringMatching(
      /exists on standby and holds 12 records, and 12 never travelled/,
    ),
    hint: expect.stringMatching(/leave --export-topic out/),
  })
  expect((await world.failovers.read(flow.name)).state.kind).toBe('failed-over')
  expect(await exported(name)).toHaveLength(12)
})

test('a command that dies midway leaves a part, which the next one counts and refuses before it decides', async () => {
  const { topic, flow } = await failedOver()
  const many = records(10, exportBatchRecords * 2 + 5)
  await world.produceInBatches(topic, many, { size: 500 })
  const name = newName()
  let requests = 0
  const dying = producing(real => async (...input) => {
    requests += 1
    if (requests === 2) throw new Error('killed')
    return real(...input)
  })
  await expect(world.failBack(flow, append, exportTo(name, dying))).rejects.toThrow('killed')
  expect(await exported(name)).toHaveLength(exportBatchRecords)

  await expect(world.failBack(flow, append, exportTo(name))).rejects.toMatchObject({
    message: expect.stringMatching(
      new RegExp(`holds ${exportBatchRecords} records, and ${many.length} never travelled`),
    ),
    hint: expect.stringMatching(/a command that was killed wrote it, delete it .*kafka-topics/),
  })
  expect((await world.failovers.read(flow.name)).state.kind).toBe('failed-over')
  await world.deleteStandbyTopic(name)
  expect(await world.failBack(flow, append, exportTo(name))).toMatchObject({ kind: 'done' })
  expect(await exported(name)).toEqual(await withOrigin(topic, 0, 10))
})

test('a batch whose answer was lost is sent again, and is there once', async () => {
  const { topic, flow } = await failedOver()
  const many = records(10, exportBatchRecords + 5)
  await world.produceInBatches(topic, many, { size: 500 })
  const name = newName()
  let requests = 0
  const losing = producing(real => async (...input) => {
    requests += 1
    const answer = await real(...input)
    if (requests > 1) return answer
    throw new BrokerFailure({ reason: 'unreachable', cluster: 'standby', detail: 'lost' })
  })
  const refused = await world.failBack(flow, refuse, exportTo(name, losing))
  expect(refused).toMatchObject({ kind: 'refused' })
  expect(requests).toBe(3)
  expect((await exported(name)).map(each => each.key)).toEqual(many.map(each => each.key))
})

test('records that come while they are written down keep the fail-back from beginning', async () => {
  const { topic, flow } = await failedOver()
  await world.produce(topic, records(10, 3))
  const name = newName()
  const late = await world.failBack(flow, append, deps => ({
    exportDivergent: async (...input) => {
      await exportTo(name)(deps).exportDivergent?.(...input)
      await world.produce(topic, records(13, 1))
    },
  }))
  expect(late).toMatchObject({ kind: 'waiting', state: { kind: 'failed-over' } })
  expect(late.problems).toEqual([
    expect.stringMatching(/-0 ends at 14 on the source, .* written down up to offset 12: stop its/),
  ])
  const other = newName()
  expect(await world.failBack(flow, append, exportTo(other))).toMatchObject({ kind: 'done' })
  expect(await exported(other)).toHaveLength(4)
})

test('a topic that the flow copies into is refused, and so is one where records would be missing', async () => {
  const { topic, flow } = await failedOver()
  await world.produce(topic, records(10, 3))
  await expect(world.failBack(flow, refuse, exportTo(topic))).rejects.toMatchObject({
    message: `Topic ${topic} on standby is the copy of topic ${topic} of flow ${flow.name}`,
  })
  const name = newName()
  const fewer = (deps: FailbackDeps): Partial<FailbackDeps> => ({
    exportDivergent: async (each, returning) => {
      const divergences = divergencesOf(returning).map(found => ({ ...found, records: 4n }))
      await exportToTopic(deps, each, { topic: name, divergences })
    },
  })
  await expect(world.failBack(flow, append, fewer)).rejects.toMatchObject({
    message: expect.stringMatching(/holds 3 records, 3 were written to it, and 4 of the source/),
    hint: expect.stringMatching(/^Nothing was decided/),
  })
})
