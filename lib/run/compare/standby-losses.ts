// Owns which partitions of a flow are searched for records that the standby has lost, and how the
// result relates to the incidents that are stored: new, standing or over. `plan` and `watch` both
// use it. Does not own the search of one partition (standby-loss.ts) nor what is stored
// (plan/standby-truncations.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { standbyLossesReadMax, standbyLossReadsInFlightMax } from '../../core/config/defaults.ts'
import { type Incident, isOpenFor } from '../../core/incident.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { standbyTruncated } from '../../core/standby/standby-incident.ts'
import { byTopicAndPartition, type TopicPartition } from '../../core/topic-partition.ts'
import { readRetention } from '../../core/watch/retention.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { IncidentStore } from '../../io/table/stores.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { concurrently } from '../concurrently.ts'
import { onTarget } from '../observe/both-clusters.ts'
import type { FlowPartition } from '../observe/flow-partitions.ts'
import { type LogViews, pointOf } from '../observe/logs.ts'
import type { StandbySettings } from '../observe/standby-settings.ts'
import { boundsOf, type LossLook, searchLoss } from './standby-loss.ts'

export type LossesDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly clock: Clock
  readonly incidents: IncidentStore
}

export type LossesLook = {
  readonly flow: FlowConfig
  readonly partitions: readonly FlowPartition[]
  readonly sources: LogViews
  /** Asked for log start and log end. */
  readonly targets: LogViews
  readonly settings: Pick<StandbySettings, 'ofSource'>
  /** The open incidents of the flow. */
  readonly open: readonly Incident[]
  readonly nowMs: number
}

export type StandbyLosses = {
  /** Incidents to store: first detected, or with a range that has grown. */
  readonly found: readonly Incident[]
  /** Open incidents whose records the source still holds. */
  readonly standing: readonly Incident[]
  /** Open incidents whose records the source does not hold any more either. */
  readonly over: readonly Incident[]
}

/** Never throws when a cluster refuses or does not answer: that partition stays as it is. */
export async function findStandbyLosses(
  deps: LossesDeps,
  look: LossesLook,
): Promise<StandbyLosses> {
  const found: Incident[] = []
  const standing: Incident[] = []
  const over: Incident[] = []
  const suspects: {
    readonly log: LossLook
    readonly known: Incident | null
    readonly size: bigint
  }[] = []
  for (const partition of look.partitions) {
    const known = openIncident(look, partition)
    const log = lookAt(look, partition)
    if (log === null) {
      if (known !== null) standing.push(known)
      continue
    }
    const bounds = boundsOf(log)
    if (bounds === null) {
      if (known !== null) over.push(known)
    } else if (known !== null && isSaid(known, log)) {
      const isHeld = pointOf(log.source, 'log-start') < BigInt(known.evidence.onlyOnSourceTo ?? 0)
      ;(isHeld ? standing : over).push(known)
    } else {
      suspects.push({ log, known, size: bounds.mostTo - bounds.from })
    }
  }
  suspects.sort((left, right) => (left.size < right.size ? 1 : -1))
  const { flow, nowMs } = look
  for (const { known } of suspects.slice(standbyLossesReadMax)) {
    if (known !== null) standing.push(known)
  }
  const searched = suspects.slice(0, standbyLossesReadMax)
  await concurrently(searched, standbyLossReadsInFlightMax, async ({ log, known }) => {
    const loss = await searchLoss({ ...deps, flow, nowMs }, log).catch(undecidedUnlessBug)
    if (loss === 'undecided') {
      if (known !== null) standing.push(known)
    } else if (loss === 'none') {
      if (known !== null) over.push(known)
    } else {
      const scope = { flow: flow.name, ...log.at }
      found.push(standbyTruncated(log.position, loss, { scope, nowMs }))
    }
  })
  return { found: await withoutAccepted(deps, flow, found), standing, over }
}

/** Null where nothing can be said: no position, another topic, or something is not observed. */
function lookAt(look: LossesLook, { topic, partition, row }: FlowPartition): LossLook | null {
  const at = { topic, partition }
  const onStandby = onTarget(look.flow, at)
  const position = row.kind === 'checkpoint' ? positionOf(row.state) : null
  const [source, target] = [look.sources.of(at), look.targets.of(onStandby)]
  const retention = readRetention(look.settings.ofSource.get(topic) ?? new Map())
  if (position === null || source.kind !== 'seen' || target.kind !== 'seen') return null
  if (retention === null || !target.offsets.has('log-start')) return null
  const isSame =
    source.topicId === position.sourceTopicId && target.topicId === position.targetTopicId
  return isSame ? { at, targetTopic: onStandby.topic, position, source, target, retention } : null
}

function openIncident({ flow, open }: LossesLook, at: FlowPartition): Incident | null {
  const scope = { flow: flow.name, topic: at.topic, partition: at.partition }
  return open.find(each => each.kind === 'standby-truncated' && isOpenFor(each, scope)) ?? null
}

/** True when the incident already names the log start that the standby has now. */
function isSaid({ foundOffset }: Incident, { target }: LossLook): boolean {
  return foundOffset !== null && foundOffset >= pointOf(target, 'log-start')
}

/** Without the losses that an operator has accepted by `gapless resume`. */
async function withoutAccepted(
  { incidents }: LossesDeps,
  flow: FlowConfig,
  found: readonly Incident[],
): Promise<Incident[]> {
  const left: Incident[] = []
  // By key: the history of a flow has no end. At most `standbyLossesReadMax` losses are found.
  await concurrently(found, standbyLossReadsInFlightMax, async loss => {
    const { incidents: known } = await incidents.find({ flow: flow.name, id: loss.id })
    const accepted = known.find(each => each.resolution === 'resumed')
    const isAccepted =
      accepted !== undefined && (accepted.foundOffset ?? 0n) >= (loss.foundOffset ?? 0n)
    if (!isAccepted) left.push(loss)
  })
  return left.sort((one, other) => byTopicAndPartition(partitionOf(one), partitionOf(other)))
}

function partitionOf({ topic, partition }: Incident): TopicPartition {
  return { topic: topic ?? '', partition: partition ?? 0 }
}

function undecidedUnlessBug(error: unknown): 'undecided' {
  if (error instanceof BrokerFailure || error instanceof DecodeError) return 'undecided'
  throw error
}
