// A process of a measurement: a consumer that starts at the end of a topic's logs, long-polls their
// broker, and reports how old each record was when it arrived.

import { exitWithStarter, orderOf, report } from '../part.ts'
import { fetchNext, findLed, openPlain, VALUE_AT } from './one-broker.ts'

export type ReaderOrder = {
  readonly brokers: string
  readonly topic: string
}

/** `samples`: machine time of an arrival and age of its record, both ms, in turns. */
export type ReaderReport =
  | { readonly kind: 'reading' }
  | { readonly kind: 'arrivals'; readonly samples: readonly number[] }

const REPORT_MS = 250

async function main({ brokers, topic }: ReaderOrder): Promise<void> {
  const cluster = openPlain(brokers)
  const led = await findLed(cluster, topic)
  if (led === null) throw new Error(`topic ${topic} has no leader`)
  const next = new Map<number, bigint>()
  for (const { partition, answer } of await cluster.listOffsets(
    led.leaderId,
    'log-end',
    led.partitions,
  )) {
    if (answer.kind === 'offset') next.set(partition, answer.offset)
  }
  report({ kind: 'reading' })
  let samples: number[] = []
  setInterval(() => {
    if (samples.length > 0) report({ kind: 'arrivals', samples })
    samples = []
  }, REPORT_MS)
  for (;;) {
    await fetchNext(cluster, led, next, (body, atNs) => {
      const ageNs = atNs - body.readBigInt64BE(VALUE_AT)
      samples.push(Number(atNs) / 1e6, Number(ageNs) / 1e6)
    })
  }
}

exitWithStarter()
await main(orderOf<ReaderOrder>())
