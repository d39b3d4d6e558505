// Owns the frame of an incident about one partition: its id and its scope. Does not own what each
// kind says (partition/incidents.ts, partition/drift.ts, standby/standby-incident.ts).

import type { Incident, IncidentKind, PartitionScope } from './incident.ts'

/** Which partition an incident is about, and when it was detected. */
export type Detected = { readonly scope: PartitionScope; readonly nowMs: number }

/** For the kinds that a policy may move past: `continued` when it does. */
export type DetectedUnderPolicy = Detected & Pick<Incident, 'resolution'>

type Draft = Pick<Incident, 'expectedOffset' | 'foundOffset' | 'lostRecordsMax' | 'evidence'> & {
  /** Tells this occurrence from another one of the same kind in the same partition. */
  readonly occurrence: readonly (string | bigint)[]
}

/** The id names the cause and not the time: a cause found twice (a crash between) is one row. */
export function partitionIncident(
  kind: IncidentKind,
  { scope, nowMs, resolution = 'open' }: Detected & Partial<DetectedUnderPolicy>,
  { occurrence, ...draft }: Draft,
): Incident {
  const { flow, topic, partition } = scope
  const id = [kind, topic, partition, ...occurrence].join(':')
  return { ...draft, kind, resolution, detectedAtMs: nowMs, flow, topic, partition, id }
}
