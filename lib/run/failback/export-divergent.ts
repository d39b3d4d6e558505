// Owns reading the records of the source that never travelled to the standby, and their form as
// JSON lines: key, value and headers are base64. They are written down before a fail-back leaves
// them in the middle of a log. Does not own which records these are (ways.ts), the file
// (cli/failbacks.ts) nor the topic (export-topic.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { readRecordBody } from '../../kafka/record.ts'
import { openInSlices, type SourceRecord } from '../../kafka/repack.ts'
import { createCandidates } from '../compare/candidates.ts'
import type { LookDeps } from '../failover/look.ts'
import { doInSlices, pauseForATurn } from '../in-slices.ts'
import { onSource } from './read-parted.ts'
import { type Divergence, divergencesOf, type Returning } from './ways.ts'

/** As `readDivergent`; each record is one line. */
export function exportDivergent(
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
  return readDivergent(deps, flow, {
    divergence,
    take: record => write(lineOf(divergence.seen, record)),
  })
}

/**
 * Calls `take` with every committed record of the range, in order. Returns how many these were.
 * Throws `BrokerFailure` when the range cannot be read to its end.
 */
export async function readDivergent(
  deps: LookDeps,
  flow: FlowConfig,
  {
    divergence,
    take,
  }: {
    readonly divergence: Divergence
    readonly take: (record: SourceRecord) => Promise<void>
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
      await take(record)
      records += 1n
    }
    candidates.take()
  }
  if (candidates.reachedEnd()) return records
  const detail = `${partitionName(seen)} could be read up to offset ${candidates.at()} of ${to} only`
  throw new BrokerFailure({ reason: 'unreachable', cluster: deps.source.name, detail })
}

/**
 * Records that a fail-back would leave in the log of the source although all divergent ones were to
 * be written down: they came since. One sentence for each partition.
 */
export function notExported(
  returning: readonly Returning[],
  exported: readonly Returning[],
): string[] {
  const ends = new Map(divergencesOf(exported).map(each => [partitionName(each.seen), each.to]))
  return divergencesOf(returning).flatMap(({ seen, to }) => {
    const name = partitionName(seen)
    const end = ends.get(name)
    if (end === to) return []
    const until = end === undefined ? 'not at all' : `up to offset ${end - 1n}`
    return [
      `${name} ends at ${to} on the source, and its divergent records were written down ${until}: stop its ` +
        'producers there, and run the command again with another file or topic',
    ]
  })
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
