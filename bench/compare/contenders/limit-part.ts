// The process of the physical limit, an upper bound for any replicator in Node between two brokers.
// Fetches every byte of a topic, discards it, and produces as many records as it fetched, in
// batches that were prepared before (limit-lanes.ts): samples of the source, repeated, each to the
// partition that it came from. A real copy adds decisions, checksums and checkpoints. Never
// produces more of a partition than was fetched, and fetches only a limited number of bytes ahead.
// Needs clusters of one broker.

import { createTopicAdmin } from '../../../lib/io/admin/topic-admin.ts'
import { exitWithStarter, orderOf, report } from '../../part.ts'
import { openPlain } from '../../parts/one-broker.ts'
import { type Lane, nextBatch, type Prepared, prepareLanes } from './limit-lanes.ts'
import { type Broker, openFetchLink, openProduceLink, type PreparedBatch } from './limit-wire.ts'

export type LimitOrder = {
  /** `127.0.0.1:port`. */
  readonly sourceBrokers: string
  readonly targetBrokers: string
  readonly topic: string
  readonly copy: string
  /** Limits of concurrency, tuned by measuring (limit.ts). */
  readonly tuning: Tuning
}

export type Tuning = {
  /** Connections to the source; partitions are dealt out to them. */
  readonly fetchLinks: number
  readonly produceLinks: number
  /** Per connection. */
  readonly produceRequestsInFlight: number
  /** Batches (each of another partition) and bytes of one request. */
  readonly requestBatchesMax: number
  readonly requestBytesMax: number
  readonly answerBytesMax: number
  readonly partitionBytesMax: number
  /** Fetched and not yet produced; a real copy would hold these bytes in memory. */
  readonly aheadBytesMax: number
}

export type LimitReport =
  | { readonly kind: 'started' }
  | {
      readonly kind: 'done'
      readonly records: number
      readonly fetchedBytes: number
      readonly producedBytes: number
      /** From the first request to the last answer. */
      readonly seconds: number
    }
  | { readonly kind: 'failed'; readonly why: string }

function brokerOf(brokers: string): Broker {
  const [host = '', port = ''] = brokers.split(':')
  if (brokers.includes(',')) throw new Error(`the limit is of one broker, not of ${brokers}`)
  return { host, port: Number(port) }
}

/** Every nth, beginning with each of the first n. */
function deal<T>(all: readonly T[], hands: number): T[][] {
  const count = Math.max(1, Math.min(hands, all.length))
  return Array.from({ length: count }, (_, hand) => all.filter((_, at) => at % count === hand))
}

/** The state of the copy; both sides read it after every answer. */
type Copy = {
  readonly order: LimitOrder
  fetchedBytes: number
  fetchedRecords: number
  producedBytes: number
  producedRecords: number
  /** Produce requests without an answer. */
  requestsOut: number
  /** Partitions with records that are not acknowledged yet. */
  lanesOpen: number
  /** Each sends the requests that are allowed now. */
  readonly moves: (() => void)[]
  readonly end: PromiseWithResolvers<void>
}

/**
 * Whether fetching pauses. Bytes ahead are estimated from the records ahead, because produced
 * batches have other sizes (small ones are coalesced). Never pauses while no Produce is under way:
 * the target may then wait for the rest of a batch, and the copy would stop for ever.
 */
function isFarAhead({ order, fetchedBytes, fetchedRecords, producedRecords, requestsOut }: Copy) {
  if (requestsOut === 0) return false
  const aheadShare = 1 - producedRecords / fetchedRecords
  return fetchedBytes * aheadShare > order.tuning.aheadBytesMax
}

function moveAll({ moves }: Copy): void {
  for (const move of moves) move()
}

/** Opens one connection to the target for these partitions. */
async function addProducing(copy: Copy, lanes: readonly Lane[]): Promise<void> {
  const { order, end } = copy
  const { produceRequestsInFlight, requestBatchesMax, requestBytesMax } = order.tuning
  const sent: (readonly { readonly lane: Lane; readonly batch: PreparedBatch }[])[] = []
  let first = 0
  const takeRequest = () => {
    const taken: { lane: Lane; batch: PreparedBatch }[] = []
    let bytes = 0
    for (let index = 0; index < lanes.length; index += 1) {
      const lane = lanes[(first + index) % lanes.length]
      const batch = lane === undefined ? null : nextBatch(lane)
      if (lane === undefined || batch === null) continue
      if (taken.length > 0 && bytes + batch.bytes > requestBytesMax) break
      lane.sentRecords += batch.records
      lane.turn += 1
      copy.producedRecords += batch.records
      bytes += batch.bytes
      taken.push({ lane, batch })
      if (taken.length === requestBatchesMax) break
    }
    first = (first + taken.length) % lanes.length
    copy.producedBytes += bytes
    return taken
  }
  const link = await openProduceLink({
    broker: brokerOf(order.targetBrokers),
    topic: order.copy,
    done: () => {
      copy.requestsOut -= 1
      for (const { lane, batch } of sent.shift() ?? []) {
        lane.answeredRecords += batch.records
        if (lane.answeredRecords === lane.records) copy.lanesOpen -= 1
      }
      if (copy.lanesOpen === 0) end.resolve()
      else moveAll(copy)
    },
    fail: end.reject,
  })
  copy.moves.push(() => {
    while (sent.length < produceRequestsInFlight) {
      const taken = takeRequest()
      if (taken.length === 0) return
      sent.push(taken)
      copy.requestsOut += 1
      link.produce(taken.map(({ batch }) => batch))
    }
  })
}

/** Opens one connection to the source for these partitions. */
async function addFetching(copy: Copy, lanes: readonly Lane[], topicUuid: string): Promise<void> {
  const { order, end } = copy
  const { answerBytesMax, partitionBytesMax } = order.tuning
  const byPartition = new Map(lanes.map(each => [each.partition, each]))
  let isAsking = false
  let first = 0
  const link = await openFetchLink({
    broker: brokerOf(order.sourceBrokers),
    topicUuid,
    answerBytesMax,
    partitionBytesMax,
    fetched: ({ partition, nextOffset, records, bytes }) => {
      const lane = byPartition.get(partition)
      if (lane === undefined) throw new Error(`partition ${partition} was never asked for`)
      lane.nextOffset = nextOffset
      lane.fetchedRecords += records
      copy.fetchedBytes += bytes
      copy.fetchedRecords += records
      moveAll(copy)
    },
    done: () => {
      isAsking = false
      moveAll(copy)
    },
    fail: end.reject,
  })
  copy.moves.push(() => {
    if (isAsking || isFarAhead(copy)) return
    const open = lanes.filter(each => each.nextOffset < each.endOffset)
    if (open.length === 0) {
      // A log with holes has fewer records than offsets; waiting for the difference would never
      // end.
      const short = lanes.find(each => each.fetchedRecords !== each.records)
      if (short !== undefined) {
        const { partition, records, fetchedRecords } = short
        end.reject(new Error(`partition ${partition}: ${fetchedRecords} records of ${records}`))
      }
      return
    }
    isAsking = true
    first = (first + 1) % open.length
    const turned = [...open.slice(first), ...open.slice(0, first)]
    link.fetch(turned.map(each => [each.partition, each.nextOffset] as const))
  })
}

/** Runs until every record is acknowledged. */
async function copyAll(order: LimitOrder, prepared: Prepared) {
  const { lanes, topicUuid } = prepared
  const copy: Copy = {
    order,
    fetchedBytes: 0,
    fetchedRecords: 0,
    producedBytes: 0,
    producedRecords: 0,
    requestsOut: 0,
    lanesOpen: lanes.filter(each => each.records > 0).length,
    moves: [],
    end: Promise.withResolvers<void>(),
  }
  const { fetchLinks, produceLinks } = order.tuning
  for (const hand of deal(lanes, produceLinks)) await addProducing(copy, hand)
  for (const hand of deal(lanes, fetchLinks)) await addFetching(copy, hand, topicUuid)
  const startedMs = performance.now()
  if (copy.lanesOpen === 0) copy.end.resolve()
  moveAll(copy)
  await copy.end.promise
  const { fetchedBytes, producedBytes } = copy
  return { fetchedBytes, producedBytes, seconds: (performance.now() - startedMs) / 1000 }
}

async function main(order: LimitOrder): Promise<void> {
  const source = openPlain(order.sourceBrokers)
  const prepared = await prepareLanes(source, order.topic)
  await source.close()
  const target = openPlain(order.targetBrokers)
  await createTopicAdmin(target).createTopic({
    name: order.copy,
    partitions: prepared.lanes.length,
  })
  await target.close()
  report({ kind: 'started' } satisfies LimitReport)
  const copied = await copyAll(order, prepared)
  const records = prepared.lanes.reduce((sum, each) => sum + each.answeredRecords, 0)
  report({ kind: 'done', records, ...copied } satisfies LimitReport)
}

exitWithStarter()
main(orderOf<LimitOrder>()).catch(error => {
  report({ kind: 'failed', why: String(error) } satisfies LimitReport)
  process.exit(1)
})
