// Owns which source offsets of a partition incidents account for: lost, or passed over by an
// operator or a policy. Does not own the incidents (core/incident.ts).

import { type Incident, lostRange } from '../incident.ts'
import type { TopicPartition } from '../topic-partition.ts'

export type Excused = {
  readonly what: 'lost' | 'passedOver'
  readonly from: bigint
  readonly to: bigint
  /** The id of the incident; `start`: copying began behind these offsets. */
  readonly by: string
}

/**
 * The ranges of this partition, by their first offset. Only incidents of the topic with this id
 * count: its name may have belonged to another log.
 */
export function excusedBy(
  incidents: readonly Incident[],
  at: TopicPartition,
  sourceTopicId: string,
): Excused[] {
  return incidents
    .filter(each => each.topic === at.topic && each.partition === at.partition)
    .flatMap(incident => {
      if (!isAbout(incident, sourceTopicId)) return []
      const range = lostRange(incident)
      const lost = range === null ? [] : [{ what: 'lost' as const, ...range, by: incident.id }]
      return [...lost, ...lostOfNewTopic(incident, sourceTopicId), ...passedOver(incident)]
    })
    .filter(({ from, to }) => to > from)
    .sort((left, right) => (left.from < right.from ? -1 : left.from > right.from ? 1 : 0))
}

function isAbout({ id, evidence }: Incident, topicId: string): boolean {
  return [evidence.topicId, evidence.recreatedAs].includes(topicId) || id.includes(topicId)
}

/** What retention removed of a topic that was recreated before any of it was copied. */
function lostOfNewTopic({ id, kind, evidence }: Incident, topicId: string): Excused[] {
  if (kind !== 'topic-reset' || evidence.recreatedAs !== topicId) return []
  const to = BigInt(evidence.newTopicLostRecordsMax ?? '0')
  return [{ what: 'lost', from: 0n, to, by: id }]
}

function passedOver({ id, kind, resolution, evidence, ...incident }: Incident): Excused[] {
  if (resolution !== 'resumed' && resolution !== 'continued') return []
  const { passedFrom, passedTo, refusedFrom, refusedTo } = evidence
  if (passedFrom !== undefined && passedTo !== undefined) {
    return [{ what: 'passedOver', from: BigInt(passedFrom), to: BigInt(passedTo), by: id }]
  }
  const isRefused = kind === 'record-too-large' || kind === 'unsupported-batch'
  if (!isRefused) return []
  if (refusedFrom !== undefined && refusedTo !== undefined) {
    const end = incident.foundOffset ?? 0n
    const to = end > BigInt(refusedTo) ? end : BigInt(refusedTo)
    return [{ what: 'passedOver', from: BigInt(refusedFrom), to, by: id }]
  }
  const { expectedOffset, foundOffset } = incident
  if (expectedOffset === null || foundOffset === null) return []
  return [{ what: 'passedOver', from: expectedOffset, to: foundOffset, by: id }]
}

/** The range that holds the offset; null: none does. */
export function excuseOf(excused: readonly Excused[], offset: bigint): Excused | null {
  return excused.find(({ from, to }) => offset >= from && offset < to) ?? null
}
