// Owns reading the newest heartbeats of a topic on the standby. Does not own their form
// (core/sync/heartbeat.ts).

import { heartbeatFetchesMax, heartbeatsReadMax } from '../../core/config/defaults.ts'
import { decodeHeartbeat, type Heartbeat } from '../../core/sync/heartbeat.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { readRecordBody } from '../../kafka/record.ts'
import { isControlBatch } from '../../kafka/record-batch.ts'
import { openInSlices } from '../../kafka/repack.ts'
import { createLogReader, readBatches } from '../compare/partition-reader.ts'
import { doInSlices, pauseForATurn } from '../in-slices.ts'
import { observeLogs, pointOf } from '../observe/logs.ts'

const fetchBytesMax = 256 * 1024

/**
 * The heartbeats among the last `heartbeatsReadMax` offsets of partition 0, where all of them are
 * written. A text: why they are not known. Throws `BrokerFailure` when the log cannot be read.
 */
export async function lastHeartbeats(
  { cluster, clock }: { readonly cluster: Cluster; readonly clock: Clock },
  topic: string,
  requestTimeoutMs: number,
): Promise<Heartbeat[] | string> {
  const at = { topic, partition: 0 }
  const view = (await observeLogs(cluster, [at], ['log-start', 'log-end'])).of(at)
  if (view.kind === 'missing') return []
  if (view.kind === 'unobserved') return view.detail
  const [start, end] = [pointOf(view, 'log-start'), pointOf(view, 'log-end')]
  const wanted = end - BigInt(heartbeatsReadMax)
  const from = wanted > start ? wanted : start
  const log = { ...at, ...view, cluster, clock, fetchBytesMax, requestTimeoutMs }
  const range = { from, to: end, isolation: 'read-uncommitted' as const, waitMs: 0 }
  const reader = createLogReader(
    log,
    { ...range, mayBeOutOfRange: true, fetchesMax: heartbeatFetchesMax },
    readBatches,
  )
  const found: Heartbeat[] = []
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    for (const batch of part.batches) {
      if (isControlBatch(batch) || batch.recordsCount === 0) continue
      const opened = await doInSlices(openInSlices(batch), pauseForATurn)
      for (let each = opened.current(); each !== null; each = opened.current()) {
        const { key, value } = readRecordBody(each.body)
        const heartbeat = decodeHeartbeat(key, value)
        if (heartbeat !== null) found.push(heartbeat)
        opened.advance()
      }
    }
  }
  return found
}
