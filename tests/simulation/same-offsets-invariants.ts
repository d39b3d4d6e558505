// Owns what must hold where records keep their offsets (I27 of docs/SPEC.md): a record stands at
// its source offset plus the distance of the last shift that the checkpoint records, and a shift
// has a cause. Does not own the other invariants (invariants.ts).

import { fillPlacesMax } from '../../lib/core/config/defaults.ts'
import { type SameOffsets, writeSameOffsets } from '../../lib/core/offsets/same-offsets.ts'
import type { Position } from '../../lib/core/partition/partition-state.ts'
import { isSaidUnclear } from './anchor-invariants.ts'
import { createViolation } from './violation.ts'
import type { Model, Track } from './world/model.ts'

/** Checks a position that was just stored. */
export function checkSameOffsets(model: Model, track: Track, position: Position): void {
  if (!model.keepsOffsets) return
  const { sameOffsets: same, sourceTopicId, nextSourceOffset } = position
  const where = `partition ${track.partition} of ${sourceTopicId}`
  if (same === undefined) throw createViolation('I27', `${where}: the distance is gone`)
  const known = track.distances.get(sourceTopicId) ?? []
  if (!known.some(each => each.distance === same.distance && each.since === same.since)) {
    // The target turned out to be one that cannot be padded.
    const isPadded = position.padding?.stage === 'impossible' && same.reason === 'start'
    const why = isPadded ? null : causeMissing(track, sourceTopicId, same)
    const text = writeSameOffsets(same)
    if (why !== null) throw createViolation('I27', `${where}: shifted to ${text}: ${why}`)
    track.distances.set(sourceTopicId, [...known, same])
  }
  checkPlaces(model, track, { sourceTopicId, same, end: nextSourceOffset })
}

/** Each record from the shift up to `end` stands where the distance says. */
function checkPlaces(
  model: Model,
  track: Track,
  at: { readonly sourceTopicId: string; readonly same: SameOffsets; readonly end: bigint },
): void {
  const { sourceTopicId, same, end } = at
  // A record that an operator let be copied again counts where it stands last.
  const places = new Map(track.copies.map(each => [each.record, each.targetOffset]))
  for (const [record, targetOffset] of places) {
    const { offset } = record
    if (record.topicId !== sourceTopicId || offset < same.since || offset >= end) continue
    // Where logs part, or what a dead owner copied among the records of others, is not known more
    // exactly than the records that the source still has tell.
    if (record.gone !== null && track.elections.length + track.foreignRecords > 0) continue
    if (record.gone === 'election' || isSaidUnclear(model, track, record)) continue
    if (targetOffset === offset + same.distance) continue
    throw createViolation(
      'I27',
      `partition ${track.partition}: "${record.text}" of source offset ${offset} stands at ` +
        `${targetOffset}, and the distance is ${writeSameOffsets(same)}`,
    )
  }
}

/** Null when the shift is explained by what happened in this story. */
function causeMissing(track: Track, topicId: string, same: SameOffsets): string | null {
  const isFirst = !track.distances.has(topicId)
  switch (same.reason) {
    case 'start': {
      // Offsets that retention took are passed over.
      const isKept = track.distances.get(topicId)?.at(-1)?.distance === same.distance
      if (!isFirst) return isKept ? null : 'copying began before'
      const isFilled = same.since <= fillPlacesMax && track.foreignRecords === 0
      return isFilled && same.distance !== 0n ? 'the target could be filled' : null
    }
    case 'reset': {
      // Once more where the marker of a fence comes first.
      const isBegun = track.distances.get(topicId)?.every(({ reason }) => reason === same.reason)
      return (isFirst && track.distances.size > 0) || isBegun ? null : 'the topic is the same'
    }
    case 'divergence':
      return track.elections.some(each => each.topicId === topicId) ? null : 'no log diverged'
    case 'resume':
      return track.resumes > 0 ? null : 'no operator resumed'
    case 'foreign-records': {
      // Or our own records, of a log that an election replaced before the position was there.
      const isLost = track.elections.some(each => each.topicId === topicId)
      return track.foreignRecords > 0 || isLost ? null : 'nobody else wrote'
    }
    case 'refused-sequence':
      return 'the log and the checkpoint know the sequence'
    case 'large-hole':
      return track.largeHoles.has(topicId) ? null : 'no hole is so large'
  }
}
