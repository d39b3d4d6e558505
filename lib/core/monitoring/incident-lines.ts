// Owns the sentences about incidents. The first lines of truncation and reset are matched by alert
// rules that exist already: their wording is part of the contract and must not change. Every
// sentence ends with what to run next, because it is read at 3 a.m.

import type { Incident } from '../incident.ts'
import { partitionName } from '../topic-partition.ts'

export type LogLine = {
  readonly level: 'critical' | 'error' | 'warn' | 'info'
  readonly text: string
}

/** What to say when an incident is stored, in order. */
export function incidentLines(incident: Incident): LogLine[] {
  const name = nameOf(incident)
  const expected = incident.expectedOffset ?? 'unknown'
  const found = incident.foundOffset ?? 'nothing'
  switch (incident.kind) {
    case 'log-truncated':
      return [
        {
          level: 'critical',
          text:
            `CRITICAL: Log truncation detected for ${name}. Expected offset ${expected}, but got ${found}. ` +
            `Gap of ${incident.lostRecordsMax} messages detected, offsets [${expected}, ${found}) were deleted ` +
            `from the source before they were replicated. ${after(incident)}`,
        },
      ]
    case 'topic-reset':
      return [
        {
          level: 'error',
          text:
            `Topic reset detected for ${name}. The topic was deleted and recreated: topic id ` +
            `${evidence(incident, 'topicId')} is now ${evidence(incident, 'recreatedAs')}. Replicated up to ` +
            `offset ${expected} of the old topic; up to ${evidence(incident, 'knownUnreplicatedRecordsMax')} ` +
            `known offsets of it were not. ${incident.foundOffset === null ? 'This partition does not exist in the new topic.' : after(incident)}`,
        },
        ...(incident.resolution === 'continued'
          ? [
              {
                level: 'info' as const,
                text: `Handling topic reset for ${name}. Seeking to beginning offset ${found} of the new topic.`,
              },
            ]
          : []),
      ]
    case 'topic-deleted':
      return [
        {
          level: 'error',
          text:
            `Topic deleted on the source: ${name} (topic id ${evidence(incident, 'topicId')}). Replicated up to ` +
            `offset ${expected}. The standby topic is kept as it is; replication waits for the topic to return.`,
        },
      ]
    case 'log-diverged':
      return [
        {
          level: 'critical',
          text:
            `CRITICAL: Log divergence detected for ${name}. ${divergedRange(incident)} ` +
            `(unclean leader election). ${after(incident)}`,
        },
      ]
    case 'target-drifted':
      return [
        {
          level: 'error',
          text:
            `Foreign records on the standby for ${name}. Expected target offset ${expected}, but got ${found}: ` +
            `somebody else writes to this topic. Replication goes on behind them.`,
        },
      ]
    case 'target-reset':
      return [
        {
          level: 'critical',
          text:
            `CRITICAL: Standby topic was recreated or cut for ${name}. Expected target offset ${expected}, but ` +
            `its log ends at ${found}. Records replicated before are gone from the standby. ${after(incident)} ` +
            `To copy everything again: gapless resume ${resumeName(incident)} --from log-start`,
        },
      ]
    case 'target-not-empty':
      return [
        {
          level: 'critical',
          text:
            `CRITICAL: Standby partition is not empty for ${name}, and the checkpoint table has no position of it. ` +
            `Expected its log to end at offset ${expected}, but it ends at ${found}: the table was lost, or ` +
            `somebody else wrote there. Nothing was copied. ${after(incident)} (finds out by its contents how ` +
            'far the standby is; --from log-start copies everything behind what it holds)',
        },
      ]
    case 'unsupported-batch':
    case 'record-too-large':
      return [
        {
          level: 'error',
          text:
            `${incident.kind === 'record-too-large' ? 'Record too large for the standby' : 'Record batch cannot be copied'} ` +
            `for ${name} at offset ${found}: ${evidence(incident, 'detail')}. ${after(incident)}`,
        },
      ]
    case 'authorization-denied':
    case 'unreachable':
      return [
        {
          level: 'error',
          text:
            `${incident.kind === 'unreachable' ? 'Unreachable' : 'Not authorized'}: cluster ` +
            `${evidence(incident, 'cluster')}${incident.topic === null ? '' : `, topic ${incident.topic}`}` +
            `${principalOf(incident)}, flow ` +
            `${incident.flow}: ${evidence(incident, 'detail')}. Nothing is known of its partitions until it answers.`,
        },
      ]
  }
}

/** Said once the first checkpoint of the new generation is stored. */
export function recoveredFromResetLine(scope: {
  readonly topic: string
  readonly partition: number
  readonly nextSourceOffset: bigint
}): LogLine {
  return {
    level: 'info',
    text:
      `Successfully recovered from topic reset for ${partitionName(scope)}. Replication stands at ` +
      `offset ${scope.nextSourceOffset} of the new topic.`,
  }
}

/** An incident of a whole topic or cluster has no partition. */
function nameOf({ topic, partition }: Pick<Incident, 'topic' | 'partition'>): string {
  return topic === null || partition === null ? String(topic) : partitionName({ topic, partition })
}

function resumeName({ topic, partition, flow }: Incident): string {
  return `${topic}:${partition} --flow ${flow}`
}

function divergedRange(incident: Incident): string {
  const { expectedOffset: expected, foundOffset: found } = incident
  if (found === null) {
    return (
      `The source's log was replaced from an offset on that no epoch tells, at ` +
      `${evidence(incident, 'divergesAtOrBefore')} or before`
    )
  }
  return (
    `The source's log was replaced from offset ${found} on; the standby holds records of ` +
    `[${found}, ${expected}) that the source no longer has${standbyRange(incident)}`
  )
}

function standbyRange({ evidence: facts }: Incident): string {
  const { onlyOnTargetFrom: from, onlyOnTargetTo: to, onlyOnTargetFromIs: how } = facts
  if (from === undefined) return ''
  return how === 'exact'
    ? `, at its own offsets [${from}, ${to})`
    : `, not before its own offset ${from} and up to ${to}`
}

function after(incident: Incident): string {
  if (incident.resolution === 'continued') {
    return `Policy continues at offset ${incident.foundOffset}.`
  }
  return `The partition is halted; to go on: gapless resume ${resumeName(incident)}`
}

function principalOf({ evidence: { principal } }: Incident): string {
  return principal === undefined ? '' : `, principal ${principal}`
}

function evidence(incident: Incident, name: string): string {
  return incident.evidence[name] ?? 'unknown'
}
