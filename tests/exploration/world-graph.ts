// Owns every world that any order of requests leads to, each of them once: indistinguishable worlds
// are one. A world is rebuilt from the requests that led to it when another request is served to
// it. Also closes worlds: from each one, however its owners died, a third, undisturbed owner must
// end with every record once and in order.

import type { FlowConfig } from '../../lib/core/config/config.ts'
import { replicate } from '../../lib/run/replicate/replicate.ts'
import type { FakeCluster } from '../support/doubles/fake-cluster.ts'
import { createVirtualClock } from '../support/doubles/virtual-clock.ts'
import { claimOf } from '../support/worlds/claim.ts'
import { type Call, onlyReads, STARTED_AT_MS, textOf } from './call.ts'
import { type Sources, TOPIC } from './scenario.ts'
import { createWorld, type World } from './world.ts'

export type WorldNode = {
  readonly id: number
  readonly problem: string | null
  readonly hasMarkerToCome: boolean
  readonly hasOpenTransaction: boolean
  /** The end of the row's lease, Unix time, ms; null without a lease. */
  readonly leaseUntilMs: number | null
  readonly leaseOwner: string | null
  /** Every record is on the target. */
  readonly isComplete: boolean
}

export type Answer = { readonly world: WorldNode; readonly key: string; readonly value: unknown }

type Deed = Call | 'marker' | 'time-out'
type Inner = {
  readonly node: WorldNode
  readonly deeds: readonly Deed[]
  live: World | null
  readonly served: Map<string, Answer | 'held'>
  laterKey: string
}

const LONG_AFTER_MS = 3_600_000

export type WorldGraph = Awaited<ReturnType<typeof createWorldGraph>>

export async function createWorldGraph(
  sources: Sources,
  flow: FlowConfig,
  beginning: readonly Call[],
) {
  const byKey = new Map<string, Inner>()
  const nodes: Inner[] = []
  const closings = new Map<string, string | null>()
  const answerIds = new Map<string, string>()
  const callKeys = new WeakMap<Call, string>()

  const rebuild = async (deeds: readonly Deed[]): Promise<World> => {
    const world = createWorld(sources, flow)
    for (const deed of deeds) {
      if (deed === 'marker') world.appendMarker()
      else if (deed === 'time-out') world.timeOut()
      else await world.apply(deed)
    }
    return world
  }
  const enter = async (world: World, deeds: readonly Deed[]): Promise<WorldNode> => {
    const key = await world.key()
    const known = byKey.get(key)
    if (known !== undefined) return known.node
    const row = await world.row()
    const node: WorldNode = {
      id: nodes.length,
      problem: world.problem(),
      hasMarkerToCome: world.hasMarkerToCome(),
      hasOpenTransaction: world.hasOpenTransaction(),
      leaseUntilMs: row?.lease.untilMs ?? null,
      leaseOwner: row?.lease.owner ?? null,
      isComplete: world.isComplete(),
    }
    const laterKey = await world.laterKey()
    const inner: Inner = { node, deeds, live: world, served: new Map(), laterKey }
    nodes.push(inner)
    byKey.set(key, inner)
    return node
  }
  const innerOf = (id: number): Inner => {
    const inner = nodes[id]
    if (inner === undefined) throw new Error(`no world ${id}`)
    return inner
  }
  const keyOf = (call: Call): string => {
    const known = callKeys.get(call)
    if (known !== undefined) return known
    const key = textOf(call)
    callKeys.set(call, key)
    return key
  }
  const idOf = (text: string): string => {
    const known = answerIds.get(text) ?? `#${answerIds.size}`
    answerIds.set(text, known)
    return known
  }
  const first = await enter(await rebuild(beginning), beginning)
  return {
    first,
    count: () => nodes.length,
    closings: () => closings.size,
    node: (id: number): WorldNode => innerOf(id).node,
    peek: (id: number, call: Call): Answer | 'held' | null =>
      innerOf(id).served.get(keyOf(call)) ?? null,
    async serve(id: number, call: Call): Promise<Answer | 'held'> {
      const inner = innerOf(id)
      const isRead = onlyReads(call)
      inner.live ??= await rebuild(inner.deeds)
      const world = inner.live
      // A request that changes the world consumes it; the world is rebuilt when it is needed again.
      if (!isRead) inner.live = null
      const served = await world.apply(call)
      const deeds = isRead || served === 'held' ? inner.deeds : [...inner.deeds, call]
      const result: Answer | 'held' =
        served === 'held'
          ? 'held'
          : {
              world: isRead ? inner.node : await enter(world, deeds),
              key: idOf(textOf(served.answer)),
              value: served.answer,
            }
      inner.served.set(keyOf(call), result)
      return result
    },
    /** What the coordinator does by itself. */
    async coordinate(id: number, deed: 'marker' | 'time-out'): Promise<WorldNode> {
      const deeds: Deed[] = [...innerOf(id).deeds, deed]
      return enter(await rebuild(deeds), deeds)
    },
    /** The problem when both owners die right here; null when there is none. */
    async close(id: number): Promise<string | null> {
      const inner = innerOf(id)
      const known = closings.get(inner.laterKey)
      if (known !== undefined) return known
      const wrong = await finish(await rebuild(inner.deeds), sources[1], flow)
      closings.set(inner.laterKey, wrong)
      return wrong
    },
  }
}

async function finish(world: World, source: FakeCluster, flow: FlowConfig): Promise<string | null> {
  world.writeMarkersAtOnce()
  const { target, stores } = world
  const clock = createVirtualClock(STARTED_AT_MS + LONG_AFTER_MS)
  const report = await replicate(
    {
      source,
      target,
      checkpoints: stores.checkpoints,
      workers: stores.workers,
      incidents: stores.incidents,
      anchors: { append: async () => 'appended' },
      clock,
      owner: 'third',
      log: () => undefined,
    },
    {
      flow,
      claim: claimOf('third'),
      partitions: [{ topic: TOPIC, partition: 0, topicIsKnown: false }],
      deadlineMs: clock.nowMs() + LONG_AFTER_MS,
      isContinuous: false,
    },
  )
  const [partition] = report.partitions
  const { incidents } = await stores.incidents.list(flow.name, 'all')
  if (partition?.outcome !== 'drained') {
    return `ends ${partition?.outcome}: ${partition?.detail}`
  }
  const [incident] = incidents
  if (incident !== undefined) return `raises an incident: ${incident.id}`
  if (!world.isComplete()) return 'does not leave every record once and in order'
  const row = await world.row()
  return row?.lease.untilMs === null ? null : 'does not release the lease'
}
