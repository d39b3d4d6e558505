// What must hold of a report, and in the end: every record of the source is on the standby, or an
// incident says that it is lost. Checked record by record. Does not own what must hold on the way
// (invariants.ts).

import type { ReplicateReport } from '../../lib/run/replicate/replicate.ts'
import { isMissing, isSaidLost } from './invariants.ts'
import { createViolation } from './violation.ts'
import { isInShadow, type Model, type ModelRecord, type Track } from './world/model.ts'
import type { SimulatedWorld } from './world/simulated-world.ts'

/** How a partition may fail; anything else is a bug that a report hides. */
const expectedFailures = [
  /^the table did not answer$/,
  /^Fetch (?:of \S+ )?answered [A-Z_]+$/,
  /^Produce to \S+ answered [A-Z_]+$/,
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

export function checkVerdict({ model, history, standbyLog }: SimulatedWorld): void {
  for (const track of model.tracks) {
    for (const record of track.records) {
      if (!isOwed(track, record) || isSaidLost(model, track, record)) continue
      if (record.topicId !== history.topicId() && wentWithItsTopic(model, track, record)) continue
      const where = `partition ${track.partition}, offset ${record.offset} of ${record.topicId}`
      const what = `is not on the standby (${record.gone ?? 'still in the source'})`
      throw createViolation('I1', `${where}: "${record.text}" ${what}, and no incident says so`)
    }
    const { logEnd } = standbyLog(track.partition)
    if (track.standbyDataEnd > logEnd) throw createViolation('I2', 'the standby shrank')
  }
}

/** In the end nothing is in a shadow any more but what vanished in it. */
function isOwed(track: Track, record: ModelRecord): boolean {
  if (record.gone === null && !record.isShadowed) {
    return record.fate === 'committed' && !record.copied
  }
  return isMissing(track, record)
}

function wentWithItsTopic(model: Model, track: Track, record: ModelRecord): boolean {
  // A topic that came and went while nobody looked: there is no position in it.
  if (!track.storedUpTo.has(record.topicId)) return true
  // Behind an election that could be noticed no more.
  if (isInShadow(track, record)) return true
  for (const incident of model.incidents.values()) {
    const { kind, partition, evidence, expectedOffset } = incident
    if (kind !== 'topic-reset' && kind !== 'topic-deleted') continue
    if (partition !== track.partition || evidence.topicId !== record.topicId) continue
    if (expectedOffset !== null && record.offset >= expectedOffset) return true
  }
  return false
}
