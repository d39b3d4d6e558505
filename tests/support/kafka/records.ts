// Records for tests, each with its own key, value, headers and timestamp, so that a swapped,
// repeated, missing or changed record is noticed; and the same four fields of records that kafkajs
// read.

import type { KafkaMessage } from 'kafkajs'

export type Contents = {
  readonly key: string | null
  readonly value: string | null
  readonly headers: Record<string, string>
  readonly timestamp: string
}

// Recent, or retention would delete the records at once; not now, so that a new timestamp is
// noticed.
const firstTimestampMs = Date.now() - 3_600_000

/**
 * `count` records, numbered from `first`; `tag` distinguishes those of a topic from those of its
 * recreation.
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

/** The fields of records that consumers see, as text, so that a difference is readable. */
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
 * The records in chunks; each chunk becomes one record batch when it is produced.
 */
export function inChunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  )
}
