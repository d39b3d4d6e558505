// One cluster on both sides of a flow is refused before anything is created or copied, by every
// command and function that looks at a flow.

import { describe, expect, test } from 'vitest'
import type { Cluster } from '../../../../lib/io/cluster/cluster.ts'
import { readFlowStatus } from '../../../../lib/run/operate/status.ts'
import { planFlow } from '../../../../lib/run/plan/plan.ts'
import { watchFlow } from '../../../../lib/run/watch/watch.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

type ClusterId = () => Promise<string | null>

async function worldOf(sourceId: ClusterId, targetId: ClusterId) {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 1)
  const lines: string[] = []
  const withId = (cluster: Cluster, clusterId: ClusterId) => ({ ...cluster, clusterId })
  const deps = {
    ...world,
    source: withId(world.source, sourceId),
    target: withId(world.target, targetId),
    log: ({ text }: { readonly text: string }) => lines.push(text),
    openTargetAdmin: () => expect.unreachable(),
    sourceConfigs: { readTopicConfigs: async () => new Map() },
  }
  return { deps, lines, flow: world.flow }
}

const looks = {
  plan: planFlow,
  status: readFlowStatus,
  watch: watchFlow,
} as const

describe.each(Object.keys(looks) as (keyof typeof looks)[])('%s', name => {
  test(`${name} refuses one cluster on both sides with its id and what to correct`, async () => {
    const one = async () => 'MkU3OEVBNTcwNTJENDM2Qg'
    const { deps, flow } = await worldOf(one, one)
    await expect(looks[name](deps as never, flow)).rejects.toMatchObject({
      name: 'ReplicatorError',
      code: 'one-cluster',
      message:
        'Flow flow: clusters primary and standby are one cluster (cluster id MkU3OEVBNTcwNTJENDM2Qg): it would copy its ' +
        'topics into itself, again and again.',
      hint: 'Correct brokers of cluster primary or standby in the configuration.',
    })
  })

  test(`${name} goes on where the ids differ, and where a cluster does not answer`, async () => {
    const { deps, flow } = await worldOf(
      async () => 'a',
      async () => 'b',
    )
    await expect(looks[name](deps as never, flow)).resolves.toBeDefined()
    const silent = await worldOf(
      async () => 'a',
      () => Promise.reject(connectionLost('standby')),
    )
    await expect(looks[name](silent.deps as never, silent.flow)).resolves.toBeDefined()
  })

  test(`${name} says that a cluster states no id`, async () => {
    const { deps, lines, flow } = await worldOf(
      async () => 'a',
      async () => null,
    )
    const seen = await looks[name](deps as never, flow)
    const said = 'warnings' in seen ? seen.warnings : lines
    expect(said).toContain(
      'cluster standby states no cluster id, so it is not known that primary and standby are two clusters: check ' +
        'that their brokers are',
    )
  })
})
