// Owns which partitions an outage stopped that copying found, as the evidence of its incident: a
// cluster may answer Metadata while a Fetch or a Produce is not answered, so only these partitions
// tell when the outage is over. Does not own when it is (run/observe/unobserved.ts).
//
//   evidence.stopped   topic-partition@nextSourceOffset, comma separated; `-` without a position

import { stoppedPartitionsMax } from '../config/defaults.ts'
import type { Incident } from '../incident.ts'
import type { StoppedAt } from '../partition/observation.ts'
import { type PartitionState, positionOf } from '../partition/partition-state.ts'
import { partitionName } from '../topic-partition.ts'

/** Partitions by name, each with the position at which its copying stopped. */
export type StoppedPartitions = ReadonlyMap<string, string>

export function stoppedBy({ evidence }: Incident): StoppedPartitions {
  const stopped = new Map<string, string>()
  for (const each of (evidence.stopped ?? '').split(',')) {
    const [name = '', at = ''] = each.trim().split('@')
    if (name !== '') stopped.set(name, at)
  }
  return stopped
}

/**
 * The incident with these partitions as stopped too; the same object where it says so already. An
 * incident that observing found becomes one that copying found: the outage goes on.
 */
export function withStopped(incident: Incident, stoppedAt: readonly StoppedAt[]): Incident {
  const stopped = new Map(stoppedBy(incident))
  for (const each of stoppedAt) {
    const name = partitionName(each)
    if (stopped.has(name) || stopped.size < stoppedPartitionsMax) {
      stopped.set(name, String(each.nextSourceOffset ?? '-'))
    }
  }
  return saying(incident, stopped)
}

/** The incident with only these partitions as stopped; the same object where nothing changes. */
export function saying(incident: Incident, stopped: StoppedPartitions): Incident {
  const { stopped: before, ...others } = incident.evidence
  const text = [...stopped].map(([name, at]) => `${name}@${at}`).join(', ')
  if (others.found === 'copying' && text === (before ?? '')) return incident
  const said = text === '' ? {} : { stopped: text }
  return { ...incident, evidence: { ...others, found: 'copying', ...said } }
}

/** Whether a partition stands elsewhere than where its copying stopped. */
export function hasMovedFrom(at: string, state: PartitionState): boolean {
  const position = positionOf(state)
  return position !== null && String(position.nextSourceOffset) !== at
}
