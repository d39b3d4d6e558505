import { expect, test } from 'vitest'
import { targetOffset } from '../../../../lib/core/offset.ts'
import type { Padding } from '../../../../lib/core/offsets/padding.ts'
import type { Alteration } from '../../../../lib/io/admin/topic-admin.ts'
import type { TopicConfig } from '../../../../lib/io/cluster/topic-config.ts'
import { syncConfigs } from '../../../../lib/run/follow/sync-configs.ts'
import type { KnownTopic } from '../../../../lib/run/observe/followed-topics.ts'
import { fullPosition, partitionKey } from '../../../support/contracts/store-examples.ts'
import { parseFlow } from '../../../support/worlds/parsed-flow.ts'

const flow = parseFlow({
  clusters: { a: { brokers: ['h:1'] }, b: { brokers: ['h:2'] } },
  flows: [{ name: 'f', from: 'a', to: 'b', topics: ['orders'], sync: { configs: 'follow' } }],
})

const compacted = {
  'cleanup.policy': 'compact',
  'retention.ms': '604800000',
  'retention.bytes': '5',
}
const padded = { 'cleanup.policy': 'compact,delete', 'retention.ms': '-1', 'retention.bytes': '-1' }
const restores = { ...compacted }
const to = targetOffset(3_000_000n)

function reader(name: string, configs: Record<string, string>) {
  const read: TopicConfig = {
    kind: 'read',
    values: new Map(Object.entries(configs)),
    own: new Set(Object.keys(configs)),
  }
  return {
    name,
    readTopicConfigs: async ([topic = '']: readonly string[]) => new Map([[topic, read]]),
  }
}

async function alteredBy(padding: Padding): Promise<string[]> {
  const alterations: Alteration[] = []
  const deps = {
    source: reader('a', { ...compacted, 'segment.bytes': '7' }),
    target: reader('b', { ...padded, 'segment.bytes': '9' }),
    openTargetAdmin: () => ({
      alterConfigs: async (asked: readonly Alteration[]) => {
        alterations.push(...asked)
        return asked.map(({ topic }) => ({ topic, errorName: 'NONE', detail: null }))
      },
    }),
  }
  const position = { ...fullPosition, padding }
  const state = { kind: 'replicating' as const, position }
  const lease = { owner: 'o', fence: 1, untilMs: null }
  const row = { ...partitionKey(), targetTopic: 'a.orders', state, lease, updatedAtMs: 1, position }
  const topic: KnownTopic = { topic: 'orders', targetTopic: 'a.orders', checkpoints: [row] }
  await syncConfigs(deps, flow, [topic])
  return alterations.flatMap(({ configs }) => configs.map(each => each.config))
}

test('the configs of a topic that is padded are left to whoever pads it, and others follow', async () => {
  const altered = await alteredBy({ stage: 'filling', to, restores })
  expect(altered).toContain('segment.bytes')
  for (const config of Object.keys(padded)) expect(altered).not.toContain(config)
  const behind = await alteredBy({ stage: 'done', to })
  for (const config of Object.keys(padded)) expect(behind).toContain(config)
})
