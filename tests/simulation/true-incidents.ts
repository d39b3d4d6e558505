// Owns that an incident of a simulation tells the truth: the event it describes happened, at the
// offsets it names. Does not own the records that it says are lost (invariants.ts).

import type { Incident } from '../../lib/core/incident.ts'
import { isMissing, isSaidLost } from './invariants.ts'
import { createViolation } from './violation.ts'
import type { Model, ModelRecord, Track } from './world/model.ts'

/** Checks that an incident that was just stored describes an event that really happened. */
export function checkIncident(model: Model, incident: Incident): void {
  model.incidents.set(incident.id, incident)
  const { kind, partition } = incident
  const wrong = (why: string) => createViolation('I4', `${incident.id} is a false alarm: ${why}`)
  if (kind === 'unreachable') {
    if (!model.isFaulty()) throw wrong('no request went wrong')
    return
  }
  const track = partition === null ? undefined : model.tracks[partition]
  if (track === undefined) throw wrong('it is about no partition')
  const { topicId = '' } = incident.evidence
  switch (kind) {
    case 'log-truncated':
      return checkTruncation(model, track, incident)
    case 'topic-reset':
    case 'topic-deleted':
      if (!model.deletedGenerations.has(topicId)) throw wrong(`${topicId} was never deleted`)
      return
    case 'log-diverged': {
      const elections = track.elections.filter(each => each.topicId === topicId)
      const ends = [...elections.map(each => each.end), ...(track.logStarts.get(topicId) ?? [])]
      if (elections.length === 0) throw wrong('no election was unclean')
      // Where compaction left no record between two offsets, they cannot be told apart.
      const isSame = (from: bigint, to: bigint) =>
        !track.records.some(each => isCommon(each, topicId, from, to))
      // The divergence point is unknown: the incident names only an upper bound.
      const { divergesAtOrBefore } = incident.evidence
      if (incident.foundOffset === null && divergesAtOrBefore !== undefined) {
        const bound = BigInt(divergesAtOrBefore)
        if (!elections.some(({ end }) => end <= bound || isSame(bound, end)))
          throw wrong(`the logs part behind ${divergesAtOrBefore}`)
        return
      }
      const found = BigInt(incident.foundOffset ?? -1n)
      const isThere = ends.some(end => end >= found && isSame(found, end))
      if (!isThere) throw wrong('the logs part elsewhere')
      return
    }
    case 'target-unclear':
      // Records that were copied and not counted yet are on the standby alone, or a standby that
      // replaces timestamps leaves it open which of them the source still has.
      if (track.elections.length > 0) return
      if (
        model.keepsTimestamps ||
        !track.records.some(each => each.gone === 'retention' || each.gone === 'compaction')
      )
        throw wrong('the source lost no record that was copied')
      return
    case 'target-drifted':
    case 'target-not-empty':
      if (track.foreignRecords === 0) throw wrong('nobody else wrote to the standby')
      return
    default:
      throw wrong('nothing of that kind is ever done here')
  }
}

/** True when a record lies between two offsets that a follower of the log would have read. */
function isCommon(record: ModelRecord, topicId: string, from: bigint, to: bigint): boolean {
  const isBetween = record.offset >= from && record.offset < to
  return (
    record.topicId === topicId &&
    isBetween &&
    record.fate === 'committed' &&
    record.gone !== 'compaction' &&
    record.gone !== 'election'
  )
}

function checkTruncation(model: Model, track: Track, incident: Incident): void {
  const { expectedOffset, foundOffset, evidence } = incident
  const starts = track.logStarts.get(evidence.topicId ?? '') ?? []
  const wrong = (why: string) => createViolation('I11', `${incident.id}: ${why}`)
  if (expectedOffset === null || foundOffset === null) throw wrong('no range')
  if (expectedOffset >= foundOffset) throw wrong(`nothing is between ${expectedOffset} and it`)
  if (!starts.includes(BigInt(foundOffset))) throw wrong(`no log began at ${foundOffset}`)
  const passed = track.records.find(
    each =>
      each.topicId === evidence.topicId &&
      each.offset < expectedOffset &&
      isMissing(track, each) &&
      !isSaidLost(model, track, each),
  )
  if (passed !== undefined) throw wrong(`"${passed.text}" below it is lost too`)
}
