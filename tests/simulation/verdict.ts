// Owns what must hold of a report, and at the end of a simulation: every record of the source is on
// the standby, or an incident says that it is lost. Checks record by record. Does not own what must
// hold at every moment (invariants.ts).

import type { ReplicateReport } from '../../lib/run/replicate/replicate.ts'
import { checkAnchors } from './anchor-invariants.ts'
import { isMissing, isSaidLost } from './invariants.ts'
import { createViolation } from './violation.ts'
import { isInShadow, type Model, type ModelRecord, type Track } from './world/model.ts'
import type { SimulatedWorld } from './world/simulated-world.ts'

/** The failures that a partition may report; any other failure is a bug that a report hides. */
const expectedFailures = [
  /^the table did not answer$/,
  /^Fetch (?:of \S+ )?answered [A-Z_]+$/,
  /^Produce to \S+ answered [A-Z_]+$/,
  /^read ECONNRESET$/,
  /^the lease ran out before it could be renewed$/,
  /^log start is beyond the position, yet a fetch there answered [A-Z_]+$/,
]

export function checkReport({ partitions, failures }: ReplicateReport): void {
  for (const { outcome, detail, partition } of partitions) {
    if (outcome !== 'failed' || expectedFailures.some(each => each.test(detail ?? ''))) continue
    throw createViolation('bug', `partition ${partition} failed: ${detail}`)
  }
  for (const failure of failures) {
    if (!failure.endsWith('the table did not answer')) throw createViolation('bug', failure)
  }
}

export function checkVerdict({ model, history, ...world }: SimulatedWorld): void {
  for (const track of model.tracks) {
    for (const record of track.records) {
      if (!isOwed(track, record) || isSaidLost(model, track, record)) continue
      if (record.topicId !== history.topicId() && wentWithItsTopic(model, track, record)) continue
      const where = `partition ${track.partition}, offset ${record.offset} of ${record.topicId}`
      const what = `is not on the standby (${record.gone ?? 'still in the source'})`
      throw createViolation('I1', `${where}: "${record.text}" ${what}, and no incident says so`)
    }
    const stored = world.storedAnchors(track.partition)
    if (stored !== null) checkAnchors(model, track, stored.sourceTopicId, stored.anchors)
    const { logEnd } = world.standbyLog(track.partition)
    if (track.standbyDataEnd > logEnd) throw createViolation('I2', 'the standby shrank')
  }
}

/** At the end only records that vanished in the shadow of an election are still in one. */
function isOwed(track: Track, record: ModelRecord): boolean {
  if (record.gone === null && !record.isShadowed) {
    return record.fate === 'committed' && !record.copied
  }
  return isMissing(track, record)
}

function wentWithItsTopic(model: Model, track: Track, record: ModelRecord): boolean {
  // The topic was created and deleted without an observation: there is no position in it.
  if (!track.storedUpTo.has(record.topicId)) return true
  // The record lies behind an election that could not be detected any more.
  if (isInShadow(track, record)) return true
  for (const incident of model.incidents.values()) {
    const { kind, partition, evidence, expectedOffset } = incident
    if (kind !== 'topic-reset' && kind !== 'topic-deleted') continue
    if (partition !== track.partition || evidence.topicId !== record.topicId) continue
    if (expectedOffset !== null && record.offset >= expectedOffset) return true
  }
  return false
}
