// Writes the records that show the cost of a fault: each has a mark of its phase and a number, so
// that a reader of the copy finds missing and duplicated records. Partition 0 only. Runs in this
// process: a few hundred batches a second do not need their own.
//
//   value   `mark number`, spaces up to VALUE_BYTES

import { bodyOf } from '../../../lib/kafka/record.ts'
import { machineMs, waitMs } from '../../part.ts'
import { batchOf, findLed, openPlain, produceBatch } from '../../parts/one-broker.ts'

/** The acknowledged records of one phase. */
export type Written = {
  readonly mark: string
  /** The machine's time at which each record was sent, by its number, ms. */
  readonly sentAtMs: number[]
}

export type Pace = {
  readonly written: Written
  /** Resolves when every sent record is acknowledged. @throws the error of a failed batch. */
  end(): Promise<void>
}

export type MarkedWriter = {
  /** Writes one batch after the other, each when the previous one is acknowledged. */
  write(mark: string, records: number): Promise<Written>
  /** Writes at an even pace from now on. */
  pace(mark: string, recordsPerSecond: number): Pace
  close(): Promise<void>
}

export const VALUE_BYTES = 200
const BATCH_RECORDS_MAX = 500
const PACED_BATCH_MS = 10
/** A recreated topic has no leader at first: its first batch is sent again until it has one. */
const RETRY_MS = 5
const RETRIES_MAX = 2_000

/** `topic` may be deleted and recreated while no write is under way. */
export function openMarkedWriter(brokers: string, topic: string): MarkedWriter {
  const cluster = openPlain(brokers)
  /** False where the topic does not exist yet. */
  const produce = async (records: Buffer): Promise<boolean> => {
    const led = await findLed(cluster, topic)
    if (led === null) return false
    const to = { topic, leaderId: led.leaderId, partition: 0 }
    return (await produceBatch(cluster, to, records)) === 0
  }
  const sendNext = async ({ mark, sentAtMs }: Written, count: number): Promise<void> => {
    const from = sentAtMs.length
    const bodies = Array.from({ length: count }, (_, index) =>
      bodyOf(null, Buffer.from(`${mark} ${from + index}`.padEnd(VALUE_BYTES))),
    )
    const batch = batchOf(bodies)
    for (let retries = 0; retries < RETRIES_MAX; retries += 1) {
      const atMs = machineMs()
      if (await produce(batch)) {
        for (const _ of bodies) sentAtMs.push(atMs)
        return
      }
      await waitMs(RETRY_MS)
    }
    throw new Error(`topic ${topic} took no records for ${RETRIES_MAX} attempts`)
  }
  return {
    async write(mark, records) {
      const written: Written = { mark, sentAtMs: [] }
      while (written.sentAtMs.length < records) {
        await sendNext(written, Math.min(BATCH_RECORDS_MAX, records - written.sentAtMs.length))
      }
      return written
    },
    pace(mark, recordsPerSecond) {
      const written: Written = { mark, sentAtMs: [] }
      let isOver = false
      const work = async () => {
        const startedMs = machineMs()
        while (!isOver) {
          const due = Math.floor(((machineMs() - startedMs) * recordsPerSecond) / 1000) + 1
          const count = Math.min(BATCH_RECORDS_MAX, due - written.sentAtMs.length)
          if (count > 0) await sendNext(written, count)
          await waitMs(PACED_BATCH_MS)
        }
      }
      const ended = work()
      // `end` reports a failure; until then it must not be an unhandled rejection.
      ended.catch(() => undefined)
      return {
        written,
        end() {
          isOver = true
          return ended
        },
      }
    },
    close: () => cluster.close(),
  }
}
