// A part of a measurement: what no replicator in Node can be faster than between two brokers.
// Fetches every byte of a topic and throws it away, and produces as many records as it fetched, in
// batches that were prepared before (limit-lanes.ts): some of the source's own, again and again,
// each partition's to the same partition of the copy. A real copy adds decisions, checksums and
// checkpoints to that. Never produces more of a partition than it fetched, and fetches only so far
// ahead. Takes clusters of one broker.

import { createTopicAdmin } from '../../../lib/io/admin/topic-admin.ts'
import { openCluster } from '../../../lib/io/cluster/cluster.ts'
import { orderOf, report, takeRequests } from '../../part.ts'
import { type Lane, nextBatch, type Prepared, prepareLanes } from './limit-lanes.ts'
import { type Broker, openFetchLink, openProduceLink, type PreparedBatch } from './limit-wire.ts'

export type LimitOrder = {
  /** `127.0.0.1:port`. */
  readonly sourceBrokers: string
  readonly targetBrokers: string
  readonly topic: string
  readonly copy: string
  /** What it does at once; tuned by measuring, see limit.ts. */
  readonly tuning: Tuning
}

export type Tuning = {
  /** Connections to each side; partitions are dealt out to them. */
  readonly fetchLinks: number
  readonly produceLinks: number
  /** Of each connection. */
  readonly produceRequestsInFlight: number
  /** Batches, each of another partition, and bytes of one request. */
  readonly requestBatchesMax: number
  readonly requestBytesMax: number
  readonly answerBytesMax: number
  readonly partitionBytesMax: number
  /** Fetched and not yet produced; a copy would have to hold it. */
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

const REQUEST_TIMEOUT_MS = 30_000

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

/** What is under way; both sides look at it after every answer. */
type Copy = {
  readonly order: LimitOrder
  fetchedBytes: number
  fetchedRecords: number
  producedBytes: number
  producedRecords: number
  /** To the target, sent and not answered. */
  requestsOut: number
  /** Partitions of which not everything is acknowledged. */
  lanesOpen: number
  /** Sends whatever may be sent. */
  readonly moves: (() => void)[]
  readonly end: PromiseWithResolvers<void>
}

/**
 * Far enough ahead that nothing is fetched for now. As much of the fetched bytes as of the fetched
 * records is not produced: what is produced has other bytes, small batches being joined. And never
 * while nothing is under way to the target, which may lack no more than the rest of a batch.
 */
function isFarAhead({ order, fetchedBytes, fetchedRecords, producedRecords, requestsOut }: Copy) {
  if (requestsOut === 0) return false
  const aheadShare = 1 - producedRecords / fetchedRecords
  return fetchedBytes * aheadShare > order.tuning.aheadBytesMax
}

function moveAll({ moves }: Copy): void {
  for (const move of moves) move()
}

/** One connection to the target and the partitions that go by it. */
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

/** One connection to the source and the partitions that come by it. */
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
      // It would wait for ever for records that a log with holes does not have.
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

/** Until every record is acknowledged. */
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
  const source = openCluster({
    name: 'source',
    config: { brokers: [order.sourceBrokers], tls: false },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  const prepared = await prepareLanes(source, order.topic)
  await source.close()
  const target = openCluster({
    name: 'target',
    config: { brokers: [order.targetBrokers], tls: false },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
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

takeRequests(() => undefined)
main(orderOf<LimitOrder>()).catch(error => {
  report({ kind: 'failed', why: String(error) } satisfies LimitReport)
  process.exit(1)
})
