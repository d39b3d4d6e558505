// Owns the incidents about clusters and topics that cannot be observed: one per cluster or topic
// and episode, opened at the first failure and ended when the cluster answers again. An unobserved
// cluster or topic is reported on every tick, and never as healthy.

import { type Incident, wasFoundCopying } from '../../core/incident.ts'
import { incidentLines } from '../../core/monitoring/incident-lines.ts'
import { authorizationDenied, topicRefused, unreachable } from '../../core/partition/incidents.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
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
  const distinct = new Map(observationFailures.map(each => [scopeOf(each), each]))
  for (const failure of distinct.values()) {
    const known = open.find(incident => concerns(incident, failure))
    const incident = known ?? incidentOf(deps, failure, flow)
    if (known === undefined) await deps.incidents.record(incident)
    for (const line of incidentLines(incident)) deps.log(line)
  }
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
    // A denial found by copying stays open, or Describe without Read would raise one every tick.
    if (wasFoundCopying(incident) || !isAboutObservation(incident)) continue
    if (observationFailures.some(failure => isStillUnobserved(failure, incident))) continue
    await recover(deps, flow, incident)
  }
}

/** Ends the open incidents about a denied Fetch or Produce of topics that this run copied. */
export async function resolveCopied(
  deps: UnobservedDeps,
  flow: string,
  run: {
    readonly partitions: readonly { readonly topic: string; readonly recordsReplicated: bigint }[]
    readonly observationFailures: readonly ObservationFailure[]
  },
): Promise<void> {
  const copied = new Set(
    run.partitions.filter(each => each.recordsReplicated > 0n).map(each => each.topic),
  )
  if (copied.size === 0) return
  const { incidents: open } = await deps.incidents.list(flow, 'open')
  for (const incident of open) {
    if (!wasFoundCopying(incident)) continue
    if (incident.topic !== null && !copied.has(incident.topic)) continue
    if (run.observationFailures.some(failure => concerns(incident, failure))) continue
    await recover(deps, flow, incident)
  }
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
