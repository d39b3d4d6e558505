// Owns the event of the commit log: JSON with an id, a timestamp, a sequence number, and padding up
// to the requested size.

import { randomUUID } from 'node:crypto'

/** The padding field does not fit into fewer bytes beside the longest sequence number. */
export const eventBytesMin = 128

/**
 * Below message.max.bytes (1,048,588 by default), which also counts the header of the batch and the
 * key.
 */
export const eventBytesMax = 1_000_000

export type CommitLogEvent = {
  /** The id of the event: unique, so that a consumer can tell a duplicate from a new event. */
  readonly key: string
  /** `{"id","timestamp","sequence","padding"}` in exactly the requested bytes. */
  readonly value: string
  /** Unix time, ms, in decimal, as kafkajs takes it. */
  readonly timestamp: string
}

const PADDING_BYTES = ',"padding":""'.length

/**
 * Makes events that are numbered from 1, each `sizeBytes` long
 * (`eventBytesMin` to `eventBytesMax`).
 */
export function createEventSource(sizeBytes: number, nowMs: () => number) {
  const padding = 'x'.repeat(sizeBytes)
  let sequence = 0
  const next = (): CommitLogEvent => {
    sequence += 1
    const id = randomUUID()
    const now = nowMs()
    const facts = `{"id":"${id}","timestamp":"${new Date(now).toISOString()}","sequence":${sequence}`
    const fill = padding.slice(0, sizeBytes - facts.length - PADDING_BYTES - 1)
    return { key: id, value: `${facts},"padding":"${fill}"}`, timestamp: String(now) }
  }
  return {
    take: (count: number): CommitLogEvent[] => Array.from({ length: count }, next),
  }
}
