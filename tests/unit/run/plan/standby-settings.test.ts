// A tick over clusters in memory that answer DescribeConfigs: the configs of standby topics that it
// creates, the settings that it warns of, and the records that the standby has lost.

import { describe, expect, test } from 'vitest'
import type { Incident } from '../../../../lib/core/incident.ts'
import type { LogLine } from '../../../../lib/core/monitoring/incident-lines.ts'
import type { TopicAdmin } from '../../../../lib/io/admin/topic-admin.ts'
import type { TopicConfig, TopicConfigReader } from '../../../../lib/io/cluster/topic-config.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { readFlowStatus } from '../../../../lib/run/operate/status.ts'
import { planFlow } from '../../../../lib/run/plan/plan.ts'
import { watchFlow } from '../../../../lib/run/watch/watch.ts'
import { watchMetrics } from '../../../../lib/run/watch/watch-metrics.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { batchOf, createWorld } from '../../../support/worlds/replicate-world.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

type Own = Record<string, string>

const defaults = {
  'cleanup.policy': 'delete',
  'retention.ms': String(7 * DAY),
  'retention.bytes': '-1',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
}

/** Reads these configs; a topic that is not named has the defaults of its broker. */
function reader(topics: Record<string, Own | TopicConfig>) {
  const requests: (readonly string[])[] = []
  const readTopicConfigs: TopicConfigReader['readTopicConfigs'] = async names => {
    requests.push(names)
    return new Map(
      names.map((name): [string, TopicConfig] => {
        const own = topics[name] ?? {}
        if (own.kind === 'read' || own.kind === 'unobserved') return [name, own as TopicConfig]
        const values = new Map(Object.entries({ ...defaults, ...(own as Own) }))
        return [name, { kind: 'read', values, own: new Set(Object.keys(own)) }]
      }),
    )
  }
  return { readTopicConfigs, requests }
}

function denied(topic: string): TopicConfig {
  const errorName = 'TOPIC_AUTHORIZATION_FAILED'
  const detail = `DescribeConfigs of topic ${topic} answered ${errorName}`
  return { kind: 'unobserved', detail, errorName }
}

function settled(
  configs: {
    readonly source?: Record<string, Own | TopicConfig>
    readonly target?: Record<string, Own | TopicConfig>
  } = {},
) {
  const world = createWorld({ flow: { topics: ['orders'] } })
  const source = reader(configs.source ?? {})
  const target = reader(configs.target ?? {})
  const created: Parameters<TopicAdmin['createTopic']>[0][] = []
  const lines: LogLine[] = []
  const admin = {
    createTopic: async (topic: Parameters<TopicAdmin['createTopic']>[0]) => {
      created.push(topic)
      world.target.createTopic(topic.name, topic.partitions)
      return 'created' as const
    },
  } as unknown as TopicAdmin
  const deps = {
    ...world,
    source: { ...world.source, readTopicConfigs: source.readTopicConfigs },
    target: { ...world.target, readTopicConfigs: target.readTopicConfigs },
    log: (line: LogLine) => lines.push(line),
    openTargetAdmin: () => admin,
    owner: 'operator',
  }
  return {
    ...{
      world,
      deps,
      created,
      lines,
      requests: { source: source.requests, target: target.requests },
    },
    /** Writes records of this age, each a batch. */
    write: (count: number, ageMs: number) => {
      const at = BigInt(world.clock.nowMs() - ageMs)
      for (let each = 0; each < count; each += 1) {
        world.sourceLog('orders').write(batchOf(1, { baseTimestamp: at, maxTimestamp: at }))
      }
    },
    plan: () => planFlow(deps, world.flow),
    status: () => readFlowStatus(deps, world.flow),
    watch: () => watchFlow({ ...deps, sourceConfigs: source }, world.flow),
  }
}

describe('a standby topic that a tick creates', () => {
  test('a standby topic that a tick creates has the configs of its source topic', async () => {
    const { world, plan, created } = settled({ source: { orders: { 'retention.ms': '-1' } } })
    world.source.createTopic('orders', 2)
    const { warnings } = await plan()
    expect(created).toMatchObject([
      {
        ...{ name: 'primary.orders', partitions: 2 },
        configs: { 'retention.ms': '-1', 'cleanup.policy': 'delete' },
      },
    ])
    expect(warnings.join('\n')).not.toContain('created without')
  })

  test('a new standby topic keeps everything while the configs of its source topic may not be read', async () => {
    const { world, plan, created } = settled({ source: { orders: denied('orders') } })
    world.source.createTopic('orders')
    const { warnings } = await plan()
    expect(created[0]?.configs).toMatchObject({ 'retention.ms': '-1', 'retention.bytes': '-1' })
    expect(warnings[0]).toContain('Grant DescribeConfigs')
  })

  test('a standby topic is not created while its source does not answer', async () => {
    const { world, deps, plan, created } = settled()
    world.source.createTopic('orders')
    deps.source.readTopicConfigs = () => Promise.reject(connectionLost('primary'))
    const { partitions, observationFailures } = await plan()
    expect(created).toEqual([])
    expect(partitions).toMatchObject([{ kind: 'unobserved' }])
    expect(observationFailures).toMatchObject([
      { cluster: 'primary', topic: 'orders', reason: 'unreachable' },
    ])
  })

  test('a config that is in no table is named and left out', async () => {
    const { world, plan, created } = settled({ source: { orders: { 'vendor.x': '1' } } })
    world.source.createTopic('orders')
    const { warnings } = await plan()
    expect(created[0]?.configs).not.toHaveProperty('vendor.x')
    expect(warnings[0]).toContain('standby topic primary.orders is created without vendor.x')
  })
})

describe('a standby topic whose settings lose what the source keeps', () => {
  const lossy = { source: { orders: { 'retention.ms': '-1' } } }
  const named = expect.stringContaining('standby topic primary.orders on standby has retention.ms=')

  test('a lossy setting is named on every tick, by the status and by watch, with one request per side', async () => {
    const { world, plan, status, watch, requests } = settled(lossy)
    world.createTopic('orders')
    for (let tick = 0; tick < 2; tick += 1) expect((await plan()).warnings).toEqual([named])
    expect(await status()).toMatchObject({ warnings: [named], losses: [named] })
    const health = await watch()
    expect(health.lossySettings).toEqual([named])
    expect(watchMetrics(health)).toMatchObject({ LossyStandbySettings: 1 })
    expect(requests.source).toEqual(Array(4).fill(['orders']))
    expect(requests.target).toEqual(Array(4).fill(['primary.orders']))
  })

  test('records at risk are a warning of the status, and no loss', async () => {
    const { world, status } = settled({
      source: { orders: { 'min.insync.replicas': '2' } },
      target: { 'primary.orders': { 'min.insync.replicas': '1' } },
    })
    world.createTopic('orders')
    expect(await status()).toMatchObject({ warnings: [expect.anything()], losses: [] })
  })

  test('settings that may not be read are not healthy', async () => {
    const target = { 'primary.orders': denied('primary.orders') }
    const { world, plan, status, watch } = settled({ target })
    world.createTopic('orders')
    const unknown = expect.stringContaining('so it is not known what the standby loses')
    expect((await plan()).warnings).toEqual([unknown])
    expect(await status()).toMatchObject({ losses: [unknown] })
    expect(watchMetrics(await watch())).toMatchObject({ UnobservedPartitions: 1 })
  })
})

describe('records that the standby has lost', () => {
  async function copied(configs: Parameters<typeof settled>[0], ageMs = HOUR) {
    const all = settled(configs)
    all.world.createTopic('orders')
    all.write(10, ageMs)
    await all.world.run('orders')
    return all
  }
  const stored = async ({ world }: ReturnType<typeof settled>): Promise<readonly Incident[]> =>
    world.storedIncidents()

  test('a log start of the standby above records that the source keeps is one incident with its range', async () => {
    const all = await copied({})
    const { world, plan, lines, watch, status } = all
    world.targetLog('orders').deleteBefore(4n)

    expect((await watch()).partitions).toMatchObject([
      { difference: { kind: 'standby-truncated', from: '0', to: '4' } },
    ])
    await plan()
    const [incident] = await stored(all)
    const again = await plan()

    expect(incident).toMatchObject({
      ...{ kind: 'standby-truncated', resolution: 'open', partition: 0 },
      ...{ expectedOffset: 0n, foundOffset: 4n, lostRecordsMax: 4n },
      evidence: { onlyOnSourceFrom: '0', onlyOnSourceTo: '4', onlyOnSourceToIs: 'exact' },
    })
    expect(lines.filter(each => each.text.startsWith('CRITICAL: Standby log'))).toHaveLength(1)
    expect(await stored(all)).toEqual([incident])
    const standing = expect.stringContaining('the standby of orders-0 has lost up to 4 records')
    expect(again.warnings).toEqual([standing])
    expect(await status()).toMatchObject({ losses: [standing] })
    expect((await watch()).partitions).toMatchObject([{ difference: null }])
  })

  test('a loss that grows is the same incident with a larger range', async () => {
    const all = await copied({})
    const { world, plan } = all
    for (const before of [4n, 10n]) {
      world.targetLog('orders').deleteBefore(before)
      await plan()
    }
    expect(await stored(all)).toMatchObject([{ foundOffset: 10n, lostRecordsMax: 10n }])
  })

  test('the incident ends once the source does not hold the records any more', async () => {
    const all = await copied({})
    const { world, plan } = all
    world.targetLog('orders').deleteBefore(4n)
    await plan()
    world.sourceLog('orders').deleteBefore(4n)
    expect((await plan()).warnings).toEqual([])
    expect(await stored(all)).toMatchObject([{ resolution: 'recovered' }])
  })

  test('what the source may delete as well is no incident, and what it still has to keep is one', async () => {
    for (const [retention, incidents] of [
      [2 * HOUR, 0],
      [4 * HOUR, 1],
    ] as const) {
      const own = { 'retention.ms': String(retention) }
      const all = await copied(
        { source: { orders: own }, target: { 'primary.orders': own } },
        3 * HOUR,
      )
      all.world.targetLog('orders').deleteBefore(10n)
      await all.plan()
      expect(await stored(all)).toHaveLength(incidents)
    }
  })

  test('records that the source had deleted before the standby did are no incident', async () => {
    const all = await copied({})
    all.world.sourceLog('orders').deleteBefore(6n)
    all.world.targetLog('orders').deleteBefore(6n)
    await all.plan()
    expect(await stored(all)).toEqual([])
  })

  test('foreign records on the standby do not shift the range', async () => {
    const all = await copied({})
    const { world, plan, write } = all
    for (let each = 0; each < 5; each += 1) world.targetLog('orders').write(batchOf(1))
    write(5, HOUR)
    await world.run('orders')
    // Ten copied records and five foreign ones are gone; the source begins with the eleventh.
    world.targetLog('orders').deleteBefore(15n)
    world.sourceLog('orders').deleteBefore(10n)
    await plan()
    const kinds = (await stored(all)).map(each => each.kind)
    expect(kinds).not.toContain('standby-truncated')
  })

  test('a loss that an operator accepts ends, and only a further loss is an incident again', async () => {
    const all = await copied({})
    const { world, deps, plan, watch } = all
    world.targetLog('orders').deleteBefore(4n)
    await plan()
    const at = { topic: 'orders', partition: 0 }
    const resume = (from: 'log-start' | null) =>
      resumePartition(deps, { flow: world.flow, at, from })

    await expect(resume('log-start')).rejects.toMatchObject({ code: 'resume-refused' })
    expect(await resume(null)).toMatchObject({ skippedOffsets: 0n })
    expect((await plan()).warnings).toEqual([])
    expect((await watch()).partitions).toMatchObject([{ difference: null }])
    expect(await stored(all)).toMatchObject([{ resolution: 'resumed' }])

    world.targetLog('orders').deleteBefore(6n)
    await plan()
    expect(await stored(all)).toMatchObject([{ resolution: 'open', foundOffset: 6n }])
  })

  test('nothing is said of a standby whose source settings are not known', async () => {
    const all = await copied({ source: { orders: denied('orders') } })
    all.world.targetLog('orders').deleteBefore(10n)
    await all.plan()
    expect(await stored(all)).toEqual([])
  })
})
