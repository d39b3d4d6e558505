// Heartbeats on real brokers, in the form and under the names of MirrorMaker 2: from a cluster to
// the next and on to a third, under both namings. And a source where gapless may only read: nothing
// is written there, and everything else works.

import type { Kafka } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../../lib/core/config/config.ts'
import { heartbeatPathsMax } from '../../lib/core/config/defaults.ts'
import { type Clock, systemClock } from '../../lib/io/clock.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { beat } from '../../lib/run/follow/beat.ts'
import type { Followed } from '../../lib/run/follow/follow-source.ts'
import { syncAcls } from '../../lib/run/follow/sync-acls.ts'
import { syncTopics } from '../../lib/run/follow/sync-topics.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import { pathMetrics } from '../../lib/run/sync/sync-metrics.ts'
import {
  removeStarted,
  type StandInAws,
  startCluster,
  startStandInAws,
} from '../../localstack/scratch/brokers.ts'
import {
  connectTo,
  createTopic,
  produceBatches,
  readLogEnds,
  withAdmin,
} from '../../localstack/scratch/topics.ts'
import { findHopsWithJava } from '../support/java/java-client.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { records } from '../support/kafka/records.ts'
import {
  authority,
  grant,
  type SecureCluster,
  startSecureCluster,
} from '../support/kafka/secure-cluster.ts'

const table = 'gapless'
const users = { gapless: 'replicates' }

let secure: SecureCluster
let aws: StandInAws
let client: ReturnType<typeof createDynamoDbClient>
const kafka: Record<string, Kafka> = {}
const clusters: Record<string, unknown> = {}

beforeAll(async () => {
  const [primary, standby, third, guarded, standIn] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startCluster('third'),
    startSecureCluster('guarded', users),
    startStandInAws(),
  ])
  secure = guarded
  aws = standIn
  for (const [name, cluster] of Object.entries({ primary, standby, third })) {
    kafka[name] = connectTo(cluster)
    clusters[name] = { brokers: cluster.brokers.split(','), tls: false }
  }
  const sasl = { mechanism: 'scram-sha-512', username: 'gapless', password: users.gapless }
  clusters.guarded = { brokers: [guarded.at('SECURE')], tls: { ca: authority.cert }, sasl }
  client = createDynamoDbClient(aws.env)
  await createTable(client, table)
})
afterAll(async () => {
  client?.destroy()
  await removeStarted()
})

const hourMs = 3_600_000
let flows = 0

/** A flow with heartbeats, opened for one piece of work. */
function opened(fields: Record<string, unknown>) {
  flows += 1
  const flow = { name: `flow-${flows}`, sync: { heartbeats: 'mirror-maker' }, ...fields }
  const parsed = parseConfig({ clusters, flows: [flow] })
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const { config } = parsed
  const [first] = config.flows
  if (first === undefined) throw new Error('a configuration without a flow')
  const within = async <T>(work: (deps: ReturnType<typeof depsOf>) => Promise<T>): Promise<T> => {
    const open = openFlow({ config, flow: first, client, table, log: () => undefined })
    try {
      return await work(depsOf(open))
    } finally {
      await open.close()
    }
  }
  return {
    flow: first,
    beat: (clock: Clock = systemClock) => within(deps => beat({ ...deps, clock }, first)),
    run: () => within(deps => runFlowOnce(deps, first, new AbortController().signal)),
    syncTopics: () => within(deps => syncTopics(deps, first)),
    syncAcls: () => within(deps => syncAcls(deps, first)),
  }
}

function depsOf({ deps, syncing, following }: ReturnType<typeof openFlow>) {
  return { ...deps, ...syncing, ...following }
}

function kafkaOf(cluster: string): Kafka {
  const found = kafka[cluster]
  if (found === undefined) throw new Error(`no cluster ${cluster}`)
  return found
}

function brokersOf(cluster: string): string {
  const { brokers } = clusters[cluster] as { brokers: readonly string[] }
  return brokers.join(',')
}

const topicsOf = (cluster: string) =>
  withAdmin(kafkaOf(cluster), async admin => (await admin.listTopics()).sort())

/** Two flows of a chain, which several tests go on with: two flows cannot write one topic. */
const near = { from: 'primary', to: 'standby', topics: ['orders'], name: 'near' }
const far = { from: 'standby', to: 'third', topics: ['chained'], name: 'far' }

test('a heartbeat is written in the form of MirrorMaker 2, and arrives with the prefix of its cluster', async () => {
  await createTopic(kafkaOf('primary'), 'orders', {})
  const flow = opened(near)

  const first = await flow.beat()
  expect(first).toMatchObject({ notWritten: null, paths: [], unknown: [] })
  await flow.run()
  const second = await flow.beat()

  expect(second.notWritten).toBe(null)
  expect(second.paths).toEqual([
    {
      by: 'own',
      clusters: ['primary'],
      newestAtMs: first.writtenAtMs,
      ageMs: expect.any(Number),
      latencyMs: expect.any(Number),
    },
  ])
  const [copied] = await readPartition(kafkaOf('standby'), {
    topic: 'primary.heartbeats',
    partition: 0,
  })
  expect(copied?.key).toEqual(Buffer.from('\0\x07primary\0\x07standby'))
  const value = Buffer.from(copied?.value ?? '')
  expect([value.length, value.readInt16BE(0)]).toEqual([10, 0])
  expect(Number(value.readBigInt64BE(2))).toBe(first.writtenAtMs)
  expect(copied?.timestamp).toBe(String(first.writtenAtMs))
})

test('in a chain of clusters each one further adds a hop, and none comes full circle', async () => {
  const first = opened(near)
  const next = opened(far)
  const back = opened({ from: 'third', to: 'primary', topics: ['chained'], name: 'back' })
  await first.beat()
  await first.run()
  await next.beat()
  await next.run()
  await back.beat()
  await back.run()

  const { paths } = await next.beat()
  expect(paths.map(each => each.clusters)).toEqual([['standby'], ['standby', 'primary']])
  expect(paths.every(each => each.newestAtMs !== null)).toBe(true)
  expect((await topicsOf('third')).filter(each => each.endsWith('heartbeats'))).toEqual([
    'heartbeats',
    'standby.heartbeats',
    'standby.primary.heartbeats',
  ])
  // What came from primary does not return to it.
  expect((await topicsOf('primary')).filter(each => each.endsWith('heartbeats'))).toEqual([
    'heartbeats',
    'third.heartbeats',
    'third.standby.heartbeats',
  ])
})

test('at the end of a chain each way has an age and a latency of its own, over all of its hops', async () => {
  const first = opened(near)
  const next = opened(far)
  const { writtenAtMs: atPrimary } = await first.beat()
  await first.run()
  // One more, as if it had stood on its first cluster for an hour when it goes on.
  await first.beat({ ...systemClock, nowMs: () => systemClock.nowMs() - hourMs })
  // The flow at the end of the chain has just looked, so the last hop took less than an hour.
  await next.run()
  await first.run()
  const { writtenAtMs: atStandby } = await next.beat()
  await next.run()

  const beaten = await next.beat()

  const [own, carried, ...others] = beaten.paths
  expect(own).toMatchObject({ by: 'own', clusters: ['standby'], newestAtMs: atStandby })
  const two = { by: 'carried', clusters: ['standby', 'primary'], newestAtMs: atPrimary }
  expect(carried).toMatchObject(two)
  expect(others.map(each => each.by)).not.toContain('carried')
  expect(carried?.latencyMs).toBeGreaterThanOrEqual(hourMs)
  expect(own?.latencyMs).toBeLessThan(hourMs)
  const followed = { heartbeat: beaten } as Pick<Followed, 'heartbeat'> as Followed
  expect(pathMetrics({ followed }).map(({ path, values }) => [path, Object.keys(values)])).toEqual([
    ['standby', ['HeartbeatAge', 'HeartbeatLatency']],
    ['standby.primary', ['HeartbeatAge', 'HeartbeatLatency']],
  ])
})

test("MirrorMaker 2's own client finds the clusters, counts the hops, and reads the heartbeat", async () => {
  const first = opened(near)
  const next = opened(far)
  const { writtenAtMs } = await first.beat()
  await first.run()
  await next.beat()
  await next.run()
  expect(await findHopsWithJava(brokersOf('third'), 'standby.primary.heartbeats')).toEqual([
    'hops primary 2',
    'hops standby 1',
    `heartbeat primary standby ${writtenAtMs}`,
  ])
})

test('with naming identity heartbeats still have the prefix, and other topics keep their names', async () => {
  await createTopic(kafkaOf('standby'), 'plain', {})
  await produceBatches(kafkaOf('standby'), { topic: 'plain', partition: 0 }, [records(0, 3)])
  const flow = opened({ from: 'standby', to: 'primary', topics: ['plain'], naming: 'identity' })
  await flow.beat()
  await flow.run()
  const { paths } = await flow.beat()
  expect(paths[0]).toMatchObject({ clusters: ['standby'], newestAtMs: expect.any(Number) })
  expect(await topicsOf('primary')).toEqual(expect.arrayContaining(['plain', 'standby.heartbeats']))
})

test('a source where gapless may only read stays untouched, says so in one sentence, and is copied', async () => {
  await createTopic(secure.kafka, 'guarded-orders', {})
  await produceBatches(secure.kafka, { topic: 'guarded-orders', partition: 0 }, [records(0, 20)])
  await grant(secure.kafka, 'User:gapless', [
    { on: 'prefix', name: 'guarded-', operations: ['READ', 'DESCRIBE', 'DESCRIBE_CONFIGS'] },
  ])
  const before = await withAdmin(secure.kafka, admin => admin.listTopics())
  const flow = opened({
    from: 'guarded',
    to: 'standby',
    topics: ['guarded-orders'],
    sync: { heartbeats: 'mirror-maker', acls: 'copy', deletions: 'delete' },
  })

  const { partitions, warnings } = await flow.run()
  const beaten = await flow.beat()
  const topics = await flow.syncTopics()
  const acls = await flow.syncAcls()

  expect(partitions.map(each => each.outcome)).toEqual(['drained'])
  expect(warnings).toEqual([])
  expect(beaten.writtenAtMs).toBe(null)
  expect(beaten.notWritten).toMatch(/^no heartbeat was written to guarded: .*Describe permission/)
  expect(topics).toMatchObject({ topics: 1, failures: [], configs: { refused: [], unknown: [] } })
  expect(acls.unknown).toEqual([
    expect.stringMatching(/^guarded does not list its ACLs/),
    expect.stringMatching(/^standby has no authorizer/),
  ])
  expect(await withAdmin(secure.kafka, admin => admin.listTopics())).toEqual(before)
  expect(await readLogEnds(secure.kafka, 'guarded-orders', 0)).toEqual([0n, 20n])
  // With Describe, the right to write is the next that is missing.
  await createTopic(secure.kafka, 'heartbeats', {})
  await grant(secure.kafka, 'User:gapless', [
    { on: 'topic', name: 'heartbeats', operations: ['DESCRIBE', 'READ', 'DESCRIBE_CONFIGS'] },
  ])
  expect((await flow.beat()).notWritten).toMatch(/TOPIC_AUTHORIZATION_FAILED: grant Write on it/)
  expect(await readLogEnds(secure.kafka, 'heartbeats', 0)).toEqual([0n, 0n])
})

test('where more ways arrive than a tick reads, that of the flow is read, and those left out are counted', async () => {
  for (let hops = 1; hops <= heartbeatPathsMax; hops += 1) {
    const name = `${'guarded.'.repeat(hops)}heartbeats`
    await createTopic(kafkaOf('standby'), name, {})
  }
  const { paths, unknown } = await opened(near).beat()
  expect(paths).toHaveLength(heartbeatPathsMax)
  expect(paths[0]).toMatchObject({ by: 'own', newestAtMs: expect.any(Number) })
  expect(unknown).toEqual([expect.stringMatching(/topics of heartbeats, and 10 are read; \d+ are/)])
})
