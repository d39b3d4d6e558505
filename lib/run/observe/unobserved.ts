// Owns the incidents about clusters and topics that cannot be observed: one per cluster or topic
// and episode, opened at the first failure and ended when the same kind of request is answered
// again: a Produce that is not answered is not over because Metadata is. An unobserved cluster or
// topic is reported on every tick, and never as healthy.

import { type Incident, wasFoundCopying } from '../../core/incident.ts'
import { incidentLines } from '../../core/monitoring/incident-lines.ts'
import { authorizationDenied, topicRefused, unreachable } from '../../core/partition/incidents.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import {
  hasMovedFrom,
  saying,
  stoppedBy,
  withStopped,
} from '../../core/watch/stopped-partitions.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { Log } from '../../io/log.ts'
import type { IncidentStore } from '../../io/table/stores.ts'

export type UnobservedDeps = {
  readonly incidents: IncidentStore
  readonly clock: Clock
  readonly log: Log
  /** Asked for the principal of gapless, once this cluster denied a permission. */
  readonly source?: Pick<Cluster, 'name' | 'principal'>
  readonly target?: Pick<Cluster, 'name' | 'principal'>
}

/** Stores an incident for each failure without an open one; logs the incidents of all failures. */
export async function reportUnobserved(
  deps: UnobservedDeps,
  flow: string,
  observationFailures: readonly ObservationFailure[],
): Promise<void> {
  if (observationFailures.length === 0) return
  const { incidents: open } = await deps.incidents.list(flow, 'open')
  for (const [failure, ...others] of Map.groupBy(observationFailures, scopeOf).values()) {
    if (failure === undefined) continue
    const known = open.find(incident => concerns(incident, failure))
    const incident = stopping(known ?? incidentOf(deps, failure, flow), [failure, ...others])
    if (incident !== known) await deps.incidents.record(incident)
    for (const line of incidentLines(incident)) deps.log(line)
  }
}

/** The incident with the partitions whose copying these failures stopped. */
function stopping(incident: Incident, failures: readonly ObservationFailure[]): Incident {
  const copying = failures.filter(each => each.foundCopying === true)
  // A denial ends with the first record that is copied: it is of a topic, and no partition has it
  // alone.
  if (incident.kind !== 'unreachable' || copying.length === 0) return incident
  return withStopped(
    incident,
    copying.flatMap(({ stoppedAt }) => (stoppedAt === undefined ? [] : [stoppedAt])),
  )
}

/**
 * Ends the open incidents about clusters and topics that were observed now and answered.
 */
export async function resolveAnswered(
  deps: UnobservedDeps,
  flow: string,
  open: readonly Incident[],
  observationFailures: readonly ObservationFailure[],
): Promise<void> {
  for (const incident of open) {
    // What copying found stays open, or Describe without Read, or a Produce that hangs while
    // Metadata is answered, would end and raise one every few minutes.
    if (wasFoundCopying(incident) || !isAboutObservation(incident)) continue
    if (observationFailures.some(failure => isStillUnobserved(failure, incident))) continue
    await recover(deps, flow, incident)
  }
}

/**
 * Ends the open incidents about Fetches and Produces that failed, once this run copied: those that
 * name the partitions that stopped when each of them was copied since, any other when a record of
 * its topic was.
 */
export async function resolveCopied(
  deps: UnobservedDeps,
  flow: string,
  run: {
    readonly partitions: readonly (TopicPartition & {
      readonly recordsReplicated: bigint
      readonly state: PartitionState
    })[]
    readonly observationFailures: readonly ObservationFailure[]
  },
): Promise<void> {
  const copied = run.partitions.filter(each => each.recordsReplicated > 0n)
  if (copied.length === 0) return
  const topics = new Set(copied.map(each => each.topic))
  const names = new Set(copied.map(partitionName))
  const { incidents: open } = await deps.incidents.list(flow, 'open')
  for (const incident of open) {
    if (!wasFoundCopying(incident)) continue
    if (run.observationFailures.some(failure => concerns(incident, failure))) continue
    if (stoppedBy(incident).size > 0) await goOn(deps, incident, name => names.has(name))
    else if (incident.topic === null || topics.has(incident.topic)) {
      await recover(deps, flow, incident)
    }
  }
}

/** What a tick sees of a partition whose copying had stopped. */
export type SeenAgain = TopicPartition & {
  readonly state: PartitionState
  /** There is nothing to copy now: drained, or gone from the source. */
  readonly isIdle: boolean
}

/**
 * Ends the open incidents that name partitions whose copying stopped, when each of them has moved
 * since, has nothing left to copy, or belongs to the flow no more. `all`: every partition of the
 * flow.
 */
export async function resolveStopped(
  deps: UnobservedDeps,
  open: readonly Incident[],
  all: readonly SeenAgain[],
): Promise<void> {
  const seen = new Map(all.map(each => [partitionName(each), each]))
  for (const incident of open) {
    if (!wasFoundCopying(incident) || stoppedBy(incident).size === 0) continue
    await goOn(deps, incident, (name, at) => {
      const found = seen.get(name)
      return found === undefined || found.isIdle || hasMovedFrom(at, found.state)
    })
  }
}

/** Takes the partitions off that go on, and ends the incident with the last of them. */
async function goOn(
  deps: UnobservedDeps,
  incident: Incident,
  isOver: (name: string, at: string) => boolean,
): Promise<void> {
  const stopped = stoppedBy(incident)
  const left = new Map([...stopped].filter(([name, at]) => !isOver(name, at)))
  if (left.size === 0) return recover(deps, incident.flow, incident)
  if (left.size < stopped.size) await deps.incidents.record(saying(incident, left))
}

function isAboutObservation({ kind }: Incident): boolean {
  return kind === 'unreachable' || kind === 'authorization-denied' || kind === 'topic-refused'
}

async function recover(deps: UnobservedDeps, flow: string, incident: Incident): Promise<void> {
  const nowMs = deps.clock.nowMs()
  await deps.incidents.resolve({ flow, id: incident.id, resolution: 'recovered', nowMs })
  const { cluster } = incident.evidence
  const topic = incident.topic === null ? '' : `, topic ${incident.topic}`
  deps.log({ level: 'info', text: `Cluster ${cluster}${topic}, flow ${flow}: answers again.` })
}

function scopeOf({ cluster, topic, reason }: ObservationFailure): string {
  return `${cluster} ${topic ?? ''} ${reason}`
}

function concerns(incident: Incident, { cluster, topic, reason }: ObservationFailure): boolean {
  return (
    incident.kind === reason && incident.topic === topic && incident.evidence.cluster === cluster
  )
}

/**
 * True when the incident's topic, or its whole cluster, still does not answer.
 */
function isStillUnobserved({ cluster, topic }: ObservationFailure, incident: Incident): boolean {
  return cluster === incident.evidence.cluster && (topic === null || topic === incident.topic)
}

function incidentOf(deps: UnobservedDeps, failure: ObservationFailure, flow: string): Incident {
  const { reason, cluster, topic, detail, foundCopying = false } = failure
  const about = { flow, cluster, topic, detail, foundCopying, detectedAtMs: deps.clock.nowMs() }
  switch (reason) {
    case 'unreachable':
      return unreachable(about)
    case 'topic-refused':
      return topicRefused(about)
    case 'authorization-denied': {
      const refusing = [deps.source, deps.target].find(each => each?.name === cluster)
      return authorizationDenied({ ...about, principal: refusing?.principal?.() ?? null })
    }
  }
}
