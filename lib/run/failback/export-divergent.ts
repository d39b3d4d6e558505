// Owns writing down the records of the source that never travelled to the standby, one JSON line
// each, before a fail-back leaves them in the middle of a log. Key, value and headers are base64.
// Does not own which records these are (ways.ts) nor the file (cli/failbacks.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { readRecordBody } from '../../kafka/record.ts'
import { openInSlices, type SourceRecord } from '../../kafka/repack.ts'
import { createCandidates } from '../compare/candidates.ts'
import type { LookDeps } from '../failover/look.ts'
import { doInSlices, pauseForATurn } from '../in-slices.ts'
import { onSource } from './read-parted.ts'
import type { Divergence } from './ways.ts'

/**
 * Calls `write` with every committed record of the range, in order. Returns how many these were.
 * Throws `BrokerFailure` when the range cannot be read to its end.
 */
export async function exportDivergent(
  deps: LookDeps,
  flow: FlowConfig,
  {
    divergence,
    write,
  }: {
    readonly divergence: Divergence
    readonly write: (line: string) => Promise<void>
  },
): Promise<bigint> {
  const { seen, from, to } = divergence
  const log = onSource(deps, flow, seen)
  if (log === null) return 0n
  const candidates = createCandidates(log, { from, to, mayBeOutOfRange: false })
  let records = 0n
  for (let each = await candidates.first(); each !== null; each = await candidates.first()) {
    const opened = await doInSlices(openInSlices(each.batch), pauseForATurn)
    for (let record = opened.current(); record !== null; record = opened.current()) {
      opened.advance()
      if (record.offset < from || record.offset >= to) continue
      await write(lineOf(seen, record))
      records += 1n
    }
    candidates.take()
  }
  if (candidates.reachedEnd()) return records
  const detail = `${partitionName(seen)} could be read up to offset ${candidates.at()} of ${to} only`
  throw new BrokerFailure({ reason: 'unreachable', cluster: deps.source.name, detail })
}

function lineOf(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  { offset, timestamp, body }: SourceRecord,
): string {
  const { key, value, headers } = readRecordBody(body)
  return JSON.stringify({
    ...{ topic, partition, offset: String(offset), timestamp: String(timestamp) },
    ...{ key: base64(key), value: base64(value) },
    headers: headers.map(each => ({ key: each.key, value: base64(each.value) })),
  })
}

function base64(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('base64')
}
