// A consumer of the copy of marked records (marked-writer.ts): when each record arrived first, and
// how often it arrived. Reads partition 0 from the log start, as soon as the copy exists.

import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import { machineMs, waitMs } from '../../part.ts'
import { fetchNext, findLed, openPlain, VALUE_AT } from '../../parts/one-broker.ts'
import { VALUE_BYTES, type Written } from './marked-writer.ts'

export type Balance = { readonly lost: number; readonly twice: number }

export type CopyReader = {
  /** The machine's time of the first such arrival, ms; null where none came within `patienceMs`. */
  firstOf(
    isMeant: (mark: string, number: number) => boolean,
    patienceMs: number,
  ): Promise<number | null>
  /** How many records arrived, repeated ones included. */
  records(): number
  /** How many records of these phases are missing, and how many arrived more than once. */
  balance(phases: readonly Written[]): Balance
  close(): Promise<void>
}

const LOOK_MS = 5

type Seen = { readonly mark: string; readonly number: number; readonly atMs: number }

export function openCopyReader(brokers: string, topic: string): CopyReader {
  const cluster = openPlain(brokers)
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
        // An error of the reading loop is thrown here.
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
  const next = new Map([[0, 0n]])
  while (!isClosed()) {
    const led = await findLed(cluster, topic)
    if (led === null) {
      await waitMs(LOOK_MS)
      continue
    }
    let isServed = true
    while (isServed && !isClosed()) {
      isServed = await fetchNext(cluster, led, next, (body, atNs) => {
        take(body.toString('latin1', VALUE_AT, VALUE_AT + VALUE_BYTES), Number(atNs) / 1e6)
      })
    }
  }
}
