// Owns what happens to the source of a simulation: producers with and without transactions,
// compaction, retention, unclean elections, deletion and recreation. Every change of a log is noted
// in the model, so that afterwards it is known which records had to be copied.

import { fillPlacesMax } from '../../../lib/core/config/defaults.ts'
import { bodyOf, writeRecords } from '../../../lib/kafka/record.ts'
import { nextOffsetAfter } from '../../../lib/kafka/record-batch.ts'
import type { FakeCluster } from '../../support/doubles/fake-cluster.ts'
import type { FakeLog } from '../../support/doubles/fake-log.ts'
import type { Chance } from '../../support/seeded-chance.ts'
import { LOG_APPEND_TIME, TRANSACTIONAL } from '../../unit/kafka/batches.ts'
import {
  addRecord,
  type Model,
  noteCompaction,
  noteDeletion,
  noteElection,
  noteRetention,
  type Track,
  trackOf,
} from './model.ts'

export type SourceHistory = ReturnType<typeof createSourceHistory>

const FIRST_TIMESTAMP_MS = 1_600_000_000_000n

export function createSourceHistory(input: {
  readonly source: FakeCluster
  readonly topic: string
  readonly model: Model
  readonly chance: Chance
  readonly say: (line: string) => void
}) {
  const { source, topic, model, chance, say } = input
  let topicId: string | null = null
  let written = 0
  let producers = 100n
  /** The open transaction of a partition: one producer at a time is enough. */
  const open = new Map<number, bigint>()
  /** The offset ranges of transactions, including parts that compaction has removed since. */
  const spans: { readonly partition: number; readonly first: bigint; last: bigint | null }[] = []
  const partitions = model.tracks.length

  const here = (partition: number): { log: FakeLog; track: Track; topicId: string } | null =>
    topicId === null
      ? null
      : { log: source.log(topic, partition), track: trackOf(model, { partition }), topicId }

  const write = (partition: number, fields: { producerId?: bigint; dated?: boolean } = {}) => {
    const at = here(partition)
    if (at === null) return
    const { producerId, dated = false } = fields
    const count = chance.integer(1, 4)
    const baseTimestamp = FIRST_TIMESTAMP_MS + BigInt(written)
    const base = at.log.logEnd
    const texts = Array.from({ length: count }, (_, index) => {
      written += 1
      const text = `r${written} of ${partition} g${model.generations.length}`
      const timestamp = baseTimestamp + BigInt(dated ? count - 1 : index)
      const fate = producerId === undefined ? 'committed' : 'open'
      addRecord(at.track, {
        text,
        topicId: at.topicId,
        offset: base + BigInt(index),
        timestamp,
        fate,
      })
      return text
    })
    at.log.write({
      recordsCount: count,
      baseTimestamp,
      maxTimestamp: baseTimestamp + BigInt(count - 1),
      attributes: (producerId === undefined ? 0 : TRANSACTIONAL) | (dated ? LOG_APPEND_TIME : 0),
      ...(producerId === undefined ? {} : { producerId, producerEpoch: 0 }),
      payload: writeRecords(
        texts.map((text, index) => ({
          attributes: 0,
          timestampDelta: BigInt(index),
          offsetDelta: index,
          body: bodyOf(null, Buffer.from(text)),
        })),
      ),
    })
    say(`source ${partition}: ${texts.join(', ')} from offset ${base}`)
  }
  /** True behind the first offset of a transaction, up to its marker. */
  const isInTransaction = (partition: number, offset: bigint) =>
    spans.some(
      each =>
        each.partition === partition &&
        each.first < offset &&
        (each.last === null || offset <= each.last),
    )
  const endTransaction = (partition: number) => {
    const at = here(partition)
    const producerId = open.get(partition)
    if (at === null || producerId === undefined) return
    open.delete(partition)
    const how = chance.oneIn(3) ? 'abort' : 'commit'
    for (const record of at.track.records) {
      if (record.fate === 'open') record.fate = how === 'abort' ? 'aborted' : 'committed'
    }
    at.log.endTransaction(producerId, how)
    for (const span of spans) {
      if (span.partition === partition) span.last ??= at.log.logEnd - 1n
    }
    say(`source ${partition}: ${how}`)
  }
  return {
    topicId: () => topicId,
    write,
    endTransaction,
    transact(partition: number): void {
      const at = here(partition)
      if (at === null) return
      const known = open.get(partition)
      if (known === undefined) producers += 1n
      const producerId = known ?? producers
      open.set(partition, producerId)
      const first = at.log.logEnd
      if (known === undefined) spans.push({ partition, first, last: null })
      write(partition, { producerId })
      if (chance.oneIn(2)) endTransaction(partition)
    },
    /**
     * Appends a batch whose records compaction has removed, and which was kept for its sequence.
     */
    writeEmptied(partition: number): void {
      here(partition)?.log.write({ recordsCount: 0, lastOffsetDelta: chance.integer(0, 3) })
      say(`source ${partition}: an emptied batch`)
    },
    /** Offsets whose batches are gone, markers too: as a log that was compacted long ago. */
    leaveHole(partition: number, offsets: number): void {
      const at = here(partition)
      if (at === null) return
      at.log.leaveHole(BigInt(offsets))
      if (offsets > fillPlacesMax) at.track.largeHoles.add(at.topicId)
      say(
        `source ${partition}: ${offsets} offsets without a batch, the log ends at ${at.log.logEnd}`,
      )
    },
    compact(partition: number): void {
      const at = here(partition)
      if (at === null) return
      const seed = chance.integer(2, 4)
      const drawn = new Map<bigint, boolean>()
      const before = offsetsOf(at.log)
      at.log.compact(offset => {
        const isKept = drawn.get(offset) ?? !chance.oneIn(seed)
        drawn.set(offset, isKept)
        return isKept
      })
      const removed = new Set([...drawn].filter(([, isKept]) => !isKept).map(([offset]) => offset))
      noteCompaction(at.track, at.topicId, removed)
      say(`source ${partition}: compaction of ${removed.size} records, ${before} batches before`)
    },
    retain(partition: number): void {
      const at = here(partition)
      if (at === null) return
      const { log } = at
      const end = log.lastStable()
      if (end <= log.logStart) return
      const drawn = log.logStart + BigInt(chance.integer(1, Number(end - log.logStart)))
      const start = outsideLargeHole(log, drawn)
      log.deleteBefore(start)
      noteRetention(at.track, at.topicId, start)
      say(`source ${partition}: the log starts at ${start}, ends at ${log.logEnd}`)
    },
    electUncleanly(partition: number): void {
      const at = here(partition)
      if (at === null) return
      const { log } = at
      // An election never cuts a transaction: a leader that lost half of a transaction is another
      // scenario.
      const bounds = log.batches.filter(
        batch => batch.baseOffset >= log.logStart && !isInTransaction(partition, batch.baseOffset),
      )
      const first = bounds[chance.integer(0, Math.max(0, bounds.length - 1))]
      if (first === undefined) return
      const end = first.baseOffset
      log.elect(end)
      noteElection(at.track, { topicId: at.topicId, end, epoch: log.leaderEpoch })
      const producerId = open.get(partition)
      const isLost = at.track.records.some(each => each.fate === 'open' && each.gone === 'election')
      if (producerId !== undefined && isLost) open.delete(partition)
      const left = spans.filter(each => each.partition !== partition || each.first < end)
      spans.splice(0, spans.length, ...left)
      say(`source ${partition}: unclean election, epoch ${log.leaderEpoch} begins at ${end}`)
    },
    delete(): void {
      if (topicId === null) return
      source.deleteTopic(topic)
      noteDeletion(model, topicId)
      say(`source: ${topic} is deleted (${topicId})`)
      topicId = null
      open.clear()
      spans.splice(0, spans.length)
      for (const record of model.tracks.flatMap(each => each.records)) {
        if (record.fate === 'open') record.fate = 'aborted'
      }
    },
    create(): void {
      if (topicId !== null) return
      topicId = source.createTopic(topic, partitions)
      model.generations.push(topicId)
      for (const track of model.tracks) track.logStarts.set(topicId, [0n])
      say(`source: ${topic} is created (${topicId})`)
    },
  }
}

/**
 * Retention deletes whole segments, which begin with a batch. What is left of a large hole may be
 * filled, and a story does not wait for that.
 */
function outsideLargeHole(log: FakeLog, drawn: bigint): bigint {
  const next = log.batches.find(batch => nextOffsetAfter(batch) > drawn)?.baseOffset ?? log.logEnd
  return next - drawn > LARGE_OFFSETS ? next : drawn
}

const LARGE_OFFSETS = 200n

function offsetsOf(log: FakeLog): number {
  return log.batches.length
}
