// Owns the sentences about incidents. Existing alert rules match the first lines of a truncation
// and of a reset, so their wording is a contract and must not change. A sentence about an open
// incident ends with the command to run next, because operators read it at 3 a.m.

import type { Incident } from '../incident.ts'
import { partitionName } from '../topic-partition.ts'

export type LogLine = {
  readonly level: 'critical' | 'error' | 'warn' | 'info'
  readonly text: string
}

/** The log lines for an incident that was just stored, in order. */
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
            `known offsets of it were not. ${afterReset(incident)}`,
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
            `offset ${expected}. The standby topic is kept; replication goes on when the topic exists again.`,
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
            'another producer writes to this topic. Replication goes on after its records; find that ' +
            'producer and revoke its permission to write.',
        },
      ]
    case 'target-reset':
      return [
        {
          level: 'critical',
          text:
            `CRITICAL: Standby topic was recreated or shortened for ${name}. Expected target offset ${expected}, ` +
            `but its log ends at ${found}. Replicated records are gone from the standby. ${after(incident)} ` +
            '(copies only new records). To copy everything that the source still holds: ' +
            `gapless resume ${resumeName(incident)} --from log-start`,
        },
      ]
    case 'target-not-empty':
      return [
        {
          level: 'critical',
          text:
            `CRITICAL: Standby partition is not empty for ${name}, and the checkpoint table has no row for it. ` +
            `Expected its log to end at offset ${expected}, but it ends at ${found}: the row was lost, or ` +
            `another producer wrote there. Nothing was copied. ${after(incident)} (compares the records of ` +
            'both logs to find where to go on; --from log-start appends everything the source holds)',
        },
      ]
    case 'target-unclear':
      return [
        {
          level: 'critical',
          text:
            `CRITICAL: Standby does not show how far ${name} was copied. Standby offsets [${expected}, ${found}) ` +
            `were written after the last checkpoint, and ${unclearWhy(incident)}. Recognized up to source offset ` +
            `${evidence(incident, 'nextSourceOffset')}; records from there on may be on the standby. ${after(incident)} ` +
            '(copies from that offset on, so records may come twice); to leave out what is there already: ' +
            `gapless resume ${resumeName(incident)} --from OFFSET (of the source)`,
        },
      ]
    case 'standby-truncated':
      return [{ level: 'critical', text: standbyTruncatedText(incident) }]
    case 'unsupported-batch':
    case 'record-too-large':
      return [
        {
          level: 'error',
          text:
            `${incident.kind === 'record-too-large' ? 'Record too large for the standby' : 'Record batch cannot be copied'} ` +
            `for ${name} at offset ${found}: ${evidence(incident, 'detail')}. ${after(incident)}${without(incident)}`,
        },
      ]
    case 'topic-refused':
      return [
        {
          level: 'error',
          text:
            `Topic refused: cluster ${evidence(incident, 'cluster')} cannot have topic ${name}, flow ` +
            `${incident.flow}: ${evidence(incident, 'detail')}. Nothing of it is copied until then.`,
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
            `${incident.flow}: ${evidence(incident, 'detail')}. Its partitions are unobserved until it answers.`,
        },
      ]
  }
}

/** Logged once the first checkpoint in the recreated topic is stored. */
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
      `The source log diverged at offset ${evidence(incident, 'divergesAtOrBefore')} or earlier; leader epochs ` +
      'no longer tell where'
    )
  }
  return (
    `The source log diverged at offset ${found}; the standby holds records of source offsets ` +
    `[${found}, ${expected}) that the source no longer has${standbyRange(incident)}`
  )
}

function standbyRange({ evidence: facts }: Incident): string {
  const { onlyOnTargetFrom: from, onlyOnTargetTo: to, onlyOnTargetFromIs: how } = facts
  if (from === undefined) return ''
  return how === 'exact'
    ? `, at standby offsets [${from}, ${to})`
    : `, within standby offsets [${from}, ${to})`
}

function unclearWhy(incident: Incident): string {
  const { goneFrom, goneTo, unmatchedRecords = '0' } = incident.evidence
  const isGone = goneFrom !== undefined && goneTo !== undefined
  const gone = isGone ? [`[${goneFrom}, ${goneTo}) are deleted there`] : []
  const own = `${unmatchedRecords} records of gapless in them match no record of the source for certain`
  return [...gone, ...(unmatchedRecords === '0' && isGone ? [] : [own])].join(', ')
}

function standbyTruncatedText(incident: Incident): string {
  const { expectedOffset: expected, foundOffset: found, evidence: facts } = incident
  const { onlyOnSourceFrom: from, onlyOnSourceTo: to, onlyOnSourceToIs: how } = facts
  const range = `[${from ?? 'unknown'}, ${to ?? 'unknown'})`
  const offsets = how === 'exact' ? `source offsets ${range}` : `source offsets within ${range}`
  return (
    `CRITICAL: Standby log was truncated for ${nameOf(incident)}. Its log starts at offset ${found}: up to ` +
    `${incident.lostRecordsMax} copied records, standby offsets [${expected}, ${found}), were deleted there, ` +
    `by retention or DeleteRecords, and the source still holds them (${offsets}). Replication goes on. ` +
    'Mend the settings that gapless status names. To have the records again, delete the standby topic, ' +
    `wait for a tick, then gapless resume ${resumeName(incident)} --from log-start. ` +
    `To accept the loss: gapless resume ${resumeName(incident)}`
  )
}

function afterReset(incident: Incident): string {
  if (incident.foundOffset === null) return 'This partition does not exist in the new topic.'
  // partition/incidents.ts puts the policy into the evidence of such an incident alone.
  if (incident.resolution !== 'open' || incident.evidence.onReset !== 'recreate') {
    return after(incident)
  }
  return (
    'The partition waits until sync has deleted its standby topic, which is then created anew (onReset: ' +
    `recreate); whether it was, or why not: gapless sync --flow ${incident.flow}`
  )
}

function after(incident: Incident): string {
  if (incident.resolution === 'continued') {
    return `Policy continues at offset ${incident.foundOffset}.`
  }
  return `The partition is halted; to go on: gapless resume ${resumeName(incident)}`
}

/** How to pass over what is refused; nothing where its end is not known. */
function without(incident: Incident): string {
  const { refusedFrom: from, refusedTo: to } = incident.evidence
  if (incident.resolution === 'continued' || from === undefined || to === undefined) return ''
  const what = BigInt(to) - BigInt(from) === 1n ? `offset ${from}` : `offsets [${from}, ${to})`
  return ` (tries it again); to go on without ${what}: gapless resume ${resumeName(incident)} --from ${to}`
}

function principalOf({ evidence: { principal } }: Incident): string {
  return principal === undefined ? '' : `, principal ${principal}`
}

function evidence(incident: Incident, name: string): string {
  return incident.evidence[name] ?? 'unknown'
}
