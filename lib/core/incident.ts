// Owns what an incident is: a durable, typed record of something lost, reset, diverged or refused.
// The literal of a kind is the same in DynamoDB, logs, metrics, the command line and
// docs/INCIDENTS.md. Does not own what each kind says (partition/incidents.ts) nor how incidents
// are stored (io/table/incident-store.ts).

import type { SourceOffset, TargetOffset } from './offset.ts'

export const incidentKinds = [
  'log-truncated',
  'topic-reset',
  'topic-deleted',
  'log-diverged',
  'target-drifted',
  'target-reset',
  'target-not-empty',
  'target-unclear',
  'standby-truncated',
  'unsupported-batch',
  'record-too-large',
  'authorization-denied',
  'unreachable',
  'topic-refused',
] as const

export type IncidentKind = (typeof incidentKinds)[number]

/**
 * How an incident ended. `open`: replication has not moved past it. `continued`: a policy moved
 * past it. `resumed`: an operator moved past it. `recovered`: the condition went away by itself.
 */
export type Resolution = 'open' | 'continued' | 'resumed' | 'recovered'

/**
 * The part of a flow that an incident covers. Partition null: the whole topic; topic null too: the
 * whole cluster.
 */
export type IncidentScope = {
  readonly flow: string
  readonly topic: string | null
  readonly partition: number | null
}

export type Incident = IncidentScope & {
  /**
   * The same cause has the same id: a cause detected twice (a crash in between) is stored once.
   */
  readonly id: string
  readonly kind: IncidentKind
  readonly resolution: Resolution
  readonly detectedAtMs: number
  /** The checkpoint's next source offset; a target offset for the kinds of `isAboutTarget`. */
  readonly expectedOffset: SourceOffset | TargetOffset | null
  /** The offset that was observed instead, at which replication can go on. */
  readonly foundOffset: SourceOffset | TargetOffset | null
  /** An upper bound of the records that are lost; null when no bound can be known. */
  readonly lostRecordsMax: bigint | null
  /** Facts for the person who investigates: topic ids, epochs, error names. Flat, all strings. */
  readonly evidence: Readonly<Record<string, string>>
}

export type PartitionScope = {
  readonly flow: string
  readonly topic: string
  readonly partition: number
}

/**
 * True for a Fetch or Produce that was denied or not answered: a cluster that can be observed does
 * not show that this is over.
 */
export function wasFoundCopying({ evidence }: Incident): boolean {
  return evidence.found === 'copying'
}

const aboutTarget: ReadonlySet<IncidentKind> = new Set([
  'target-drifted',
  'target-reset',
  'target-not-empty',
  'target-unclear',
  'standby-truncated',
])

/** True for the kinds whose offsets are those of the target's log. */
export function isAboutTarget(kind: IncidentKind): boolean {
  return aboutTarget.has(kind)
}

/** True when `incident` is open and concerns this partition, its whole topic, or its whole flow. */
export function isOpenFor(incident: Incident, scope: PartitionScope): boolean {
  return (
    incident.resolution === 'open' &&
    incident.flow === scope.flow &&
    (incident.topic === null || incident.topic === scope.topic) &&
    (incident.partition === null || incident.partition === scope.partition)
  )
}

/**
 * As `isOpenFor`, for incidents of the partition's standby topic too: a standby topic that does not
 * answer is an incident that names the standby topic.
 */
export function concernsPartition(
  incident: Incident,
  { targetTopic, ...scope }: PartitionScope & { readonly targetTopic: string },
): boolean {
  return isOpenFor(incident, scope) || isOpenFor(incident, { ...scope, topic: targetTopic })
}

/**
 * The source offsets an incident accounts for, `[from, to)`; null for kinds that lose no source
 * offset.
 */
export function lostRange(incident: Incident): { from: bigint; to: bigint } | null {
  if (incident.kind !== 'log-truncated') return null
  if (incident.expectedOffset === null || incident.foundOffset === null) return null
  return { from: incident.expectedOffset, to: incident.foundOffset }
}
