// Owns what a consumer of the copy sees of marked records (marked-writer.ts): when each came first,
// and how often it came. Reads partition 0 from the log start on, as soon as there is a copy.

import { type Cluster, openCluster } from '../../../lib/io/cluster/cluster.ts'
import { readRecords } from '../../../lib/kafka/record.ts'
import {
  isControlBatch,
  nextOffsetAfter,
  readRecordBatches,
  recordBytes,
} from '../../../lib/kafka/record-batch.ts'
import { machineMs, waitMs } from '../../part.ts'
import { VALUE_AT, VALUE_BYTES, type Written } from './marked-writer.ts'

export type Balance = { readonly lost: number; readonly twice: number }

export type CopyReader = {
  /** Resolves with null when it has not come for so long; the machine's time, ms. */
  firstOf(
    isMeant: (mark: string, number: number) => boolean,
    patienceMs: number,
  ): Promise<number | null>
  /** How many records came, those that came before among them. */
  records(): number
  /** Of these phases: what is not there, and what is there more than once. */
  balance(phases: readonly Written[]): Balance
  close(): Promise<void>
}

const WAIT_MS = 500
const LOOK_MS = 5
const BYTES_MAX = 4 * 2 ** 20
const REQUEST_TIMEOUT_MS = 30_000

type Seen = { readonly mark: string; readonly number: number; readonly atMs: number }

export function openCopyReader(brokers: string, topic: string): CopyReader {
  const cluster = openCluster({
    name: 'standby',
    config: { brokers: brokers.split(','), tls: false },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  const firsts: Seen[] = []
  const times = new Map<string, number>()
  let records = 0
  let isClosed = false
  const take = (value: string, atMs: number) => {
    const [mark = '', number = ''] = value.trim().split(' ')
    const before = times.get(`${mark} ${number}`) ?? 0
    times.set(`${mark} ${number}`, before + 1)
    records += 1
    if (before === 0) firsts.push({ mark, number: Number(number), atMs })
  }
  const reading = readOn({ cluster, topic, take, isClosed: () => isClosed })
  reading.catch(() => undefined)
  return {
    async firstOf(isMeant, patienceMs) {
      const startedMs = machineMs()
      let looked = 0
      while (machineMs() - startedMs < patienceMs) {
        for (; looked < firsts.length; looked += 1) {
          const seen = firsts[looked]
          if (seen !== undefined && isMeant(seen.mark, seen.number)) return seen.atMs
        }
        // What ended the reading is thrown here.
        await Promise.race([waitMs(LOOK_MS), reading])
      }
      return null
    },
    records: () => records,
    balance(phases) {
      let lost = 0
      let twice = 0
      for (const { mark, sentAtMs } of phases) {
        for (let number = 0; number < sentAtMs.length; number += 1) {
          const came = times.get(`${mark} ${number}`) ?? 0
          if (came === 0) lost += 1
          if (came > 1) twice += 1
        }
      }
      return { lost, twice }
    },
    async close() {
      isClosed = true
      await reading.catch(() => undefined)
      await cluster.close()
    },
  }
}

async function readOn(input: {
  readonly cluster: Cluster
  readonly topic: string
  readonly take: (value: string, atMs: number) => void
  readonly isClosed: () => boolean
}): Promise<void> {
  const { cluster, topic, take, isClosed } = input
  let from = 0n
  while (!isClosed()) {
    const [described] = await cluster.describeTopics([topic])
    const leader = described?.kind === 'exists' ? described.partitions[0] : undefined
    if (described?.kind !== 'exists' || leader?.leaderId == null) {
      await waitMs(LOOK_MS)
      continue
    }
    const asked = { partition: 0, currentLeaderEpoch: null, lastFetchedEpoch: null }
    const { leaderId } = leader
    let isServed = true
    while (isServed && !isClosed()) {
      const answer = await cluster.fetch(leaderId, {
        maxWaitMs: WAIT_MS,
        minBytes: 1,
        maxBytes: BYTES_MAX,
        isolationLevel: 'read-committed',
        topics: [
          {
            topicId: described.topicId,
            partitions: [{ ...asked, fetchOffset: from, partitionMaxBytes: BYTES_MAX }],
          },
        ],
      })
      const atMs = machineMs()
      const [fetched] = answer.partitions
      isServed = fetched?.errorCode === 0
      for (const batch of readRecordBatches(fetched?.records ?? Buffer.alloc(0)).batches) {
        if (batch.kind !== 'v2') throw new Error('a batch of an old format')
        from = nextOffsetAfter(batch)
        if (isControlBatch(batch)) continue
        for (const { body } of readRecords(recordBytes(batch), batch)) {
          take(body.toString('latin1', VALUE_AT, VALUE_AT + VALUE_BYTES), atMs)
        }
      }
    }
  }
}
