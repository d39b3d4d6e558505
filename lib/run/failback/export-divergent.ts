// Owns writing down the records of the source that never travelled to the standby, one JSON line
// each, before a fail-back leaves them in the middle of a log. Key, value and headers are base64.
// Does not own which records these are (ways.ts) nor the file (cli/failbacks.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { readRecordBody } from '../../kafka/record.ts'
import type { LookDeps } from '../failover/look.ts'
import { type ReadRecord, sourceRecords } from '../translate/log-records.ts'
import { onSource, readWindows } from './read-parted.ts'
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
  let records = 0n
  for await (const window of readWindows(log, sourceRecords, { from, to })) {
    for (const record of window) await write(lineOf(seen, record))
    records += BigInt(window.length)
  }
  return records
}

function lineOf(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  { offset, createTime, body }: ReadRecord,
): string {
  const { key, value, headers } = readRecordBody(body)
  return JSON.stringify({
    ...{ topic, partition, offset: String(offset), timestamp: String(createTime) },
    ...{ key: base64(key), value: base64(value) },
    headers: headers.map(each => ({ key: each.key, value: base64(each.value) })),
  })
}

function base64(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('base64')
}
