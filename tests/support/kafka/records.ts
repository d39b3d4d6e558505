// Records for tests: each one with its own key, value, headers and timestamp, so that a swapped,
// repeated, missing or changed one shows; and the same four things of what kafkajs read back.

import type { KafkaMessage } from 'kafkajs'

export type Contents = {
  readonly key: string | null
  readonly value: string | null
  readonly headers: Record<string, string>
  readonly timestamp: string
}

// Recent, or retention would take the records at once; not now, so that a record stamped anew
// shows.
const firstTimestampMs = Date.now() - 3_600_000

/**
 * `count` records, numbered from `first`; `tag` tells those of one topic generation from
 * another's.
 */
export function records(first: number, count: number, tag = 'event'): Contents[] {
  return Array.from({ length: count }, (_, index) => {
    const sequence = first + index
    return {
      key: `${tag}-${sequence}`,
      value: JSON.stringify({ tag, sequence, padding: 'x'.repeat(sequence % 50) }),
      headers: { tag, sequence: String(sequence) },
      timestamp: String(firstTimestampMs + sequence),
    }
  })
}

/** What consumers see of a record, as text: a difference is then readable. */
export function contentsOf(read: readonly KafkaMessage[]): Contents[] {
  return read.map(({ key, value, headers, timestamp }) => ({
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
    headers: Object.fromEntries(
      Object.entries(headers ?? {}).map(([name, header]) => [name, String(header)]),
    ),
    timestamp,
  }))
}

/**
 * The same records in several pieces: each becomes a record batch of its own when it is produced.
 */
export function inChunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  )
}
