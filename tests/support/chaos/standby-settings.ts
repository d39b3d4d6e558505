// What a chaos run does to the clusters before gapless knows them: a standby that stamps its own
// time or compresses anew, and quotas that throttle fetches and produces. Owns these settings and
// not what is killed (kills.ts).

import { Admin } from '@platformatic/kafka'
import type { FlowFixture } from '../worlds/flow-fixture.ts'
import type { ChaosTopic } from './producers.ts'

/** `as-sent`: the standby topics are created by gapless itself. */
export const standbySettings = ['as-sent', 'LogAppendTime', 'recompress'] as const
export type StandbySetting = (typeof standbySettings)[number]

const configs: Record<Exclude<StandbySetting, 'as-sent'>, Record<string, string>> = {
  LogAppendTime: { 'message.timestamp.type': 'LogAppendTime' },
  recompress: { 'compression.type': 'gzip' },
}

/** Bytes a second of a client: less than the producers of a run write at their best. */
const QUOTA_BYTES_PER_S = 60_000

export async function prepareStandby(
  world: FlowFixture,
  topics: readonly ChaosTopic[],
  setting: StandbySetting,
): Promise<void> {
  if (setting === 'as-sent') return
  for (const { name, partitions } of topics) {
    const topic = { partitions, configs: configs[setting] }
    await world.createStandbyTopic(`primary.${name}`, topic)
  }
}

/** Throttles every client: its fetches on both clusters, its produces on the standby. */
export async function setQuotas({ source, target }: FlowFixture): Promise<void> {
  await limit(source.brokers, ['consumer_byte_rate'], QUOTA_BYTES_PER_S)
  await limit(target.brokers, ['consumer_byte_rate', 'producer_byte_rate'], QUOTA_BYTES_PER_S)
}

/** So that the comparison at the end is not throttled. */
export async function removeQuotas({ source, target }: FlowFixture): Promise<void> {
  for (const { brokers } of [source, target]) {
    await limit(brokers, ['consumer_byte_rate', 'producer_byte_rate'], null)
  }
}

type Rate = 'consumer_byte_rate' | 'producer_byte_rate'

/** null: no limit any more. */
async function limit(brokers: string, keys: readonly Rate[], value: number | null): Promise<void> {
  const admin = new Admin({ clientId: 'chaos', bootstrapBrokers: brokers.split(',') })
  try {
    const ops = keys.map(key =>
      value === null ? { key, remove: true as const } : { key, value, remove: false as const },
    )
    // A null name is the default of all client ids.
    await admin.alterClientQuotas({
      entries: [{ entities: [{ entityType: 'client-id', entityName: null }], ops }],
    })
  } finally {
    await admin.close()
  }
}
