// Consumer groups between the clusters of a fixture: offsets that are committed as by a consumer
// without membership, and read back, on either side.

import { randomUUID } from 'node:crypto'
import type { FlowConfig } from '../../../lib/core/config/config.ts'
import { createGroupAdmin } from '../../../lib/io/admin/group-admin.ts'
import { openCluster } from '../../../lib/io/cluster/cluster.ts'
import type { FlowOverrides, SharedFlowFixture, TopicOptionsOf } from './flow-fixture.ts'

export type GroupWorld = ReturnType<typeof openGroupWorld>

type Side = 'primary' | 'standby'

export type At = {
  readonly topic: string
  readonly partition?: number
  readonly offset: number
  readonly metadata?: string
}

/** Values `v0`, `v1`, ... */
export const records = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => {
    return { key: `k${from + index}`, value: `v${from + index}` }
  })

export function openGroupWorld(world: SharedFlowFixture) {
  const open = (name: Side, brokers: string) =>
    openCluster({
      name,
      config: { brokers: brokers.split(','), tls: false },
      requestTimeoutMs: 10_000,
    })
  const clusters = {
    primary: open('primary', world.source.brokers),
    standby: open('standby', world.target.brokers),
  }
  const admins = {
    primary: createGroupAdmin(clusters.primary),
    standby: createGroupAdmin(clusters.standby),
  }
  return {
    admins,
    commit: (on: Side, group: string, at: At) =>
      admins[on].commitOffsets(group, [
        { partition: 0, metadata: null, ...at, offset: BigInt(at.offset) },
      ]),
    /** What the group has committed; null where there is nothing. */
    async committed(on: Side, group: string, topic: string, partition = 0) {
      const [read] = await admins[on].readOffsets([group])
      if (read?.kind !== 'read') throw new Error(`group ${group}: ${read?.errorName}`)
      const found = read.offsets.find(each => {
        return each.topic === topic && each.partition === partition
      })
      return found?.offset ?? null
    },
    /** A topic with `count` records, replicated, with a flow for the topic and one group. */
    async replicated(
      name: string,
      count: number,
      { flow = {}, topic: options = {} }: { flow?: FlowOverrides; topic?: TopicOptionsOf } = {},
    ): Promise<{ topic: string; group: string; flow: FlowConfig }> {
      const topic = `${name}-${randomUUID()}`
      const group = `group-of-${topic}`
      await world.createTopic(topic, options)
      await world.produce(topic, records(0, count))
      const config = world.flow([topic], { naming: 'identity', groups: [group], ...flow })
      await world.run(config)
      return { topic, group, flow: config }
    },
    async close() {
      await Promise.all(Object.values(clusters).map(each => each.close()))
    },
  }
}
