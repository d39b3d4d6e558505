// Owns the JSON that the commands print with --json. It is a contract: docs/CLI.md documents every
// field, fields are only ever added at the end, offsets and counts of records are decimal strings
// (JSON numbers end at 2^53).

import type { FlowFailover } from '../../core/failover/flow-failover.ts'
import type { Incident } from '../../core/incident.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import type { Worker } from '../../core/row/worker-row.ts'
import type { ShownState } from '../../core/watch/shown-state.ts'
import type { PartitionReport } from '../partition/partition-run.ts'
import type { FlowStatus, PartitionStatus as ObservedPartition } from './status.ts'

/** As in core/watch/shown-state.ts; offsets beside `unobserved` are those of the checkpoint. */
export type StatusState = ShownState

export type PartitionStatus = {
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  readonly state: StatusState
  readonly nextSourceOffset: string | null
  readonly nextTargetOffset: string | null
  readonly sourceLogStartOffset: string | null
  readonly sourceLogEndOffset: string | null
  /** Offsets of the source not replicated yet; null, never 0, where that is not known. */
  readonly lagRecords: string | null
  readonly topicId: string | null
  readonly openIncidents: number
  /** ISO 8601, when the checkpoint was last written; null when there is none. */
  readonly updatedAt: string | null
  readonly latencyMs: number | null
  /** Age of the first record that is not replicated. */
  readonly lagMs: number | null
  /** Until retention may delete a record that is not replicated. */
  readonly headroomMs: number | 'unlimited' | null
  /** `same since ...`, `shifted by ...` or `translated`, and why; null before the first copy. */
  readonly offsets: string | null
  /** Target offset minus source offset; null where offsets are translated. */
  readonly offsetDistance: string | null
}

export type FlowStatusReport = {
  readonly name: string
  readonly partitions: readonly PartitionStatus[]
  /** What could not be observed, one sentence each; `partitions` may be incomplete then. */
  readonly unobserved: readonly string[]
  /** What works with reduced guarantees, one sentence each. */
  readonly warnings: readonly string[]
  /** Those of `warnings` that say that the standby loses, or has lost, what the source keeps. */
  readonly losses: readonly string[]
  /** Topics that a pattern leaves out as copies, by the prefix of a cluster in their names. */
  readonly leftOut: readonly string[]
  readonly openIncidents: number
  /** What is wrong and no incident says, one sentence each. */
  readonly problems: readonly string[]
  /** The workers that run, or are about to. */
  readonly workers: readonly WorkerReport[]
  /** Which cluster applications use: active, failing-over, failed-over, failing-back. */
  readonly failover: FlowFailover['kind'] | 'unknown'
  /** The step on the way there; null: none. */
  readonly failoverStep: string | null
}

export type WorkerReport = {
  readonly worker: string
  /** `command`: a run of the command line. */
  readonly role: Worker['role']
  /** ISO 8601; when the worker was reserved where it has not begun. */
  readonly startedAt: string
  readonly partitions: number
  /** Lambda's request id; null elsewhere, and before the worker has begun. */
  readonly invocation: string | null
}

export type StatusReport = { readonly flows: readonly FlowStatusReport[] }

export type RunOutcome =
  | 'drained'
  | 'halted'
  | 'waiting'
  | 'absent'
  | 'failed-over'
  | 'unobserved'
  | 'failed'
  | 'deadline'
  | 'lease-held'
  | 'lease-lost'

export type PartitionRunReport = {
  readonly topic: string
  readonly partition: number
  readonly outcome: RunOutcome
  /** The reason, where the outcome alone does not say it. */
  readonly detail: string | null
  readonly recordsReplicated: string
  readonly bytesReplicated: string
  readonly nextSourceOffset: string | null
  readonly nextTargetOffset: string | null
}

export type RunReport = {
  readonly flows: readonly {
    readonly name: string
    readonly partitions: readonly PartitionRunReport[]
    readonly warnings: readonly string[]
    /** What could not be observed, one sentence each. */
    readonly unobserved: readonly string[]
    /** What could not be stored at the end, one sentence each. */
    readonly failures: readonly string[]
  }[]
  readonly recordsReplicated: string
  readonly bytesReplicated: string
  readonly elapsedMs: number
}

export type ResumeReport = {
  readonly flow: string
  readonly topic: string
  readonly partition: number
  readonly nextSourceOffset: string
  /** Source offsets passed over; the incident names them. */
  readonly skippedOffsets: string
}

export type TranslateReport = {
  readonly flow: string
  /** The name at the source, also with --back. */
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  readonly sourceOffset: string
  readonly targetOffset: string
  /** What the translated one of the two offsets is. */
  readonly kind: 'exact' | 'bounded' | 'beyond'
  readonly rereadRecordsMax: string
  /** False: the source did not answer, so its records could not be read. */
  readonly sourceSeen: boolean
}

export type IncidentReport = {
  readonly id: string
  readonly kind: Incident['kind']
  readonly flow: string
  readonly topic: string | null
  readonly partition: number | null
  /** ISO 8601. */
  readonly detectedAt: string
  readonly expectedOffset: string | null
  readonly foundOffset: string | null
  readonly lostRecordsMax: string | null
  readonly resolution: Incident['resolution']
  readonly evidence: Readonly<Record<string, string>>
}

export type IncidentsReport = {
  readonly incidents: readonly IncidentReport[]
  /** How many older incidents are left out by --limit. */
  readonly leftOut: number
  /** Incidents whose rows cannot be read, one sentence each. */
  readonly unreadable: readonly string[]
}

export type TopicsReport = {
  readonly clusters: readonly {
    readonly name: string
    readonly topics: readonly TopicReport[]
    /** Why the cluster, or some of its topics, could not be observed; null when all could. */
    readonly error: string | null
  }[]
}

export type TopicReport = {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly {
    readonly partition: number
    readonly logStartOffset: string | null
    readonly logEndOffset: string | null
  }[]
}

export function reportIncident(incident: Incident): IncidentReport {
  const { id, kind, flow, topic, partition, detectedAtMs, resolution, evidence } = incident
  return {
    id,
    kind,
    flow,
    topic,
    partition,
    detectedAt: new Date(detectedAtMs).toISOString(),
    expectedOffset: incident.expectedOffset?.toString() ?? null,
    foundOffset: incident.foundOffset?.toString() ?? null,
    lostRecordsMax: incident.lostRecordsMax?.toString() ?? null,
    resolution,
    evidence,
  }
}

export function reportFlowStatus(flow: FlowStatus): FlowStatusReport {
  return {
    name: flow.name,
    partitions: flow.partitions.map(reportPartitionStatus),
    unobserved: flow.unobserved,
    warnings: flow.warnings,
    losses: flow.losses,
    leftOut: flow.leftOut,
    openIncidents: flow.openIncidents,
    problems: flow.problems,
    workers: flow.workers.map(reportWorker),
    failover: flow.failover.kind,
    failoverStep: 'step' in flow.failover ? flow.failover.step : null,
  }
}

function reportWorker({ worker, role, beganAtMs, partitions, invocation }: Worker): WorkerReport {
  const startedAt = new Date(beganAtMs).toISOString()
  return { worker, role, startedAt, partitions, invocation }
}

function reportPartitionStatus(partition: ObservedPartition): PartitionStatus {
  const { updatedAtMs } = partition
  return {
    topic: partition.topic,
    partition: partition.partition,
    targetTopic: partition.targetTopic,
    state: partition.state,
    nextSourceOffset: decimal(partition.nextSourceOffset),
    nextTargetOffset: decimal(partition.nextTargetOffset),
    sourceLogStartOffset: decimal(partition.sourceLogStartOffset),
    sourceLogEndOffset: decimal(partition.sourceLogEndOffset),
    lagRecords: decimal(partition.lagRecords),
    topicId: partition.topicId,
    openIncidents: partition.openIncidents,
    updatedAt: updatedAtMs === null ? null : new Date(updatedAtMs).toISOString(),
    latencyMs: partition.latencyMs,
    lagMs: partition.lagMs,
    headroomMs: partition.headroomMs,
    offsets: partition.offsets?.text ?? null,
    offsetDistance: partition.offsets?.distance?.toString() ?? null,
  }
}

export function reportPartitionRun(report: PartitionReport): PartitionRunReport {
  const position = positionOf(report.state)
  return {
    topic: report.topic,
    partition: report.partition,
    outcome: report.outcome,
    detail: report.detail,
    recordsReplicated: String(report.recordsReplicated),
    bytesReplicated: String(report.bytesReplicated),
    nextSourceOffset: decimal(position?.nextSourceOffset ?? null),
    nextTargetOffset: decimal(position?.nextTargetOffset ?? null),
  }
}

function decimal(value: bigint | null): string | null {
  return value === null ? null : String(value)
}
