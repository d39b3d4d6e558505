// Owns the incidents about what cannot be observed: one per cluster or topic and episode, opened when it is first
// found, ended when the cluster answers again. Not knowing is reported on every tick, and never as healthy.

import { type Incident, unobservedIncident } from '../core/incident.ts'
import { incidentLines } from '../core/wording.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import type { IncidentStore } from '../io/stores.ts'
import type { Finding } from './partition-run.ts'

export type UnobservedDeps = {
  readonly incidents: IncidentStore
  readonly clock: Clock
  readonly log: Log
}

/** Stores an incident for every finding that has none open, and says all of them again. */
export async function reportFindings(
  deps: UnobservedDeps,
  flow: string,
  findings: readonly Finding[],
): Promise<void> {
  if (findings.length === 0) return
  const open = await deps.incidents.list(flow, 'open')
  const distinct = new Map(findings.map(each => [scopeOf(each), each]))
  for (const finding of distinct.values()) {
    const known = open.find(incident => concerns(incident, finding))
    const incident = known ?? incidentOf(finding, flow, deps.clock.nowMs())
    if (known === undefined) await deps.incidents.record(incident)
    for (const line of incidentLines(incident)) deps.log(line)
  }
}

/** Ends the open incidents about clusters and topics that answered now. */
export async function resolveAnswered(
  deps: UnobservedDeps,
  flow: string,
  open: readonly Incident[],
  findings: readonly Finding[],
): Promise<void> {
  for (const incident of open) {
    const isAboutSilence =
      incident.kind === 'unreachable' || incident.kind === 'authorization-denied'
    if (!isAboutSilence || findings.some(finding => concerns(incident, finding))) continue
    const nowMs = deps.clock.nowMs()
    await deps.incidents.resolve({ flow, id: incident.id, resolution: 'recovered', nowMs })
    const { cluster } = incident.evidence
    const topic = incident.topic === null ? '' : `, topic ${incident.topic}`
    deps.log({ level: 'info', text: `Cluster ${cluster}${topic}, flow ${flow}: answers again.` })
  }
}

function scopeOf({ cluster, topic, reason }: Finding): string {
  return `${cluster} ${topic ?? ''} ${reason}`
}

function concerns(incident: Incident, { cluster, topic, reason }: Finding): boolean {
  return (
    incident.kind === reason && incident.topic === topic && incident.evidence.cluster === cluster
  )
}

function incidentOf({ reason, cluster, topic, detail }: Finding, flow: string, nowMs: number) {
  return unobservedIncident({ kind: reason, flow, cluster, topic, detail, detectedAtMs: nowMs })
}
