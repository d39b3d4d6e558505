// The applications of the source: idempotent and transactional producers that share partitions,
// with every codec, as fast as the backlog allows. Each keeps the outcome of every record that it
// wrote. A write whose outcome is unknown is never repeated with the same key.

import type { Kafka, Message, Producer } from 'kafkajs'
import { codecTypes } from '../../../localstack/scratch/kafkajs-codecs.ts'
import { type Chance, createChance } from '../seeded-chance.ts'
import type { Backlog } from './backlog.ts'
import { keyText, recordOf } from './records.ts'
import type { Fate } from './verdict.ts'

export type ChaosTopic = { readonly name: string; readonly partitions: number }

export type ChaosProducers = {
  /** The fate of each record, by topic and partition, then by key. */
  readonly fates: ReadonlyMap<string, ReadonlyMap<string, Fate>>
  /** Transactions with records on the source and neither a commit nor an abort. */
  openTransactions(): number
  /** Ends the producers; throws the error that ended one of them, if any. */
  stop(): Promise<void>
}

const BATCH_RECORDS_MAX = 25
const TRANSACTION_SENDS_MAX = 4
/** The broker aborts a transaction that its producer abandoned. */
const TRANSACTION_TIMEOUT_MS = 10_000
/** Consecutive replacements of a producer: more mean that the source does not answer. */
const FAILURES_IN_A_ROW_MAX = 20

const codecs = Object.values(codecTypes) as [number, ...number[]]

type Draft = { readonly topic: string; readonly partition: number; readonly keys: string[] } & {
  readonly messages: Message[]
}

type Desk = {
  readonly kafka: Kafka
  readonly backlog: Backlog
  readonly topics: readonly [ChaosTopic, ...ChaosTopic[]]
  readonly fates: Map<string, Map<string, Fate>>
  openTransactions: number
}

type Writer = { readonly name: string; readonly chance: Chance; next: number }

export function startProducers(
  input: Omit<Desk, 'fates' | 'openTransactions'> & { readonly seed: number },
): ChaosProducers {
  const desk: Desk = { ...input, fates: new Map(), openTransactions: 0 }
  const write = (name: string, index: number, transactional: boolean) => {
    const chance = createChance(input.seed + index)
    return writeUntilClosed(desk, { name, chance, next: 0 }, transactional)
  }
  const writers = [
    write('idempotent-1', 1, false),
    write('idempotent-2', 2, false),
    write('transactional-1', 3, true),
    write('transactional-2', 4, true),
  ]
  const ended = Promise.all(writers)
  // `stop` awaits the producers; until then a failed one must not end the process as unhandled.
  ended.catch(() => input.backlog.close())
  return {
    fates: desk.fates,
    openTransactions: () => desk.openTransactions,
    stop: async () => {
      input.backlog.close()
      await ended
    },
  }
}

async function writeUntilClosed(desk: Desk, writer: Writer, transactional: boolean): Promise<void> {
  let producer = await connect(desk.kafka, writer, transactional)
  let failures = 0
  for (;;) {
    const sends = transactional ? writer.chance.integer(1, TRANSACTION_SENDS_MAX) : 1
    const drafts = Array.from({ length: sends }, () => draft(desk, writer))
    const count = drafts.reduce((sum, each) => sum + each.keys.length, 0)
    // Before the transaction begins: an open one holds back the last stable offset.
    if (!(await desk.backlog.take(count))) break
    const codec = writer.chance.pick(codecs)
    const fate = transactional
      ? await writeTransaction(desk, producer, drafts, codec, writer.chance.oneIn(3))
      : await writeBatches(producer, drafts, codec)
    for (const { topic, partition, keys } of drafts) {
      const known = fatesOf(desk, topic, partition)
      for (const key of keys) known.set(key, fate.fate)
    }
    if (fate.fate !== 'committed') desk.backlog.give(count)
    failures = fate.error === null ? 0 : failures + 1
    if (failures > FAILURES_IN_A_ROW_MAX) throw fate.error
    if (fate.error === null) continue
    // The producer does not know the state of its sequence numbers or of its transaction.
    await producer.disconnect()
    producer = await connect(desk.kafka, writer, transactional)
  }
  await producer.disconnect()
  // InitProducerId for the transactional id aborts a transaction that may still be open.
  if (transactional) await endTransactions(desk.kafka, writer)
}

type Outcome = { readonly fate: Fate; readonly error: unknown }

async function writeBatches(
  producer: Producer,
  drafts: readonly Draft[],
  compression: number,
): Promise<Outcome> {
  try {
    for (const { topic, messages } of drafts) {
      await producer.send({ topic, acks: -1, compression, messages })
    }
    return { fate: 'committed', error: null }
  } catch (error) {
    return { fate: 'unknown', error }
  }
}

async function writeTransaction(
  desk: Desk,
  producer: Producer,
  drafts: readonly Draft[],
  compression: number,
  aborts: boolean,
): Promise<Outcome> {
  // Until a commit is requested, the transaction can only be aborted.
  let fate: Fate = 'aborted'
  let open = 0
  try {
    const transaction = await producer.transaction()
    for (const { topic, messages } of drafts) {
      await transaction.send({ topic, acks: -1, compression, messages })
      if (open === 0) desk.openTransactions += 1
      open = 1
    }
    if (aborts) {
      await transaction.abort()
      return { fate, error: null }
    }
    fate = 'undecided'
    await transaction.commit()
    return { fate: 'committed', error: null }
  } catch (error) {
    return { fate, error }
  } finally {
    desk.openTransactions -= open
  }
}

function draft(desk: Desk, writer: Writer): Draft {
  const { chance } = writer
  const { name: topic, partitions } = chance.pick(desk.topics)
  const partition = chance.integer(0, partitions - 1)
  const count = chance.integer(1, BATCH_RECORDS_MAX)
  const first = writer.next
  writer.next += count
  const records = Array.from({ length: count }, (_, index) => ({
    writer: writer.name,
    number: first + index,
  }))
  const messages = records.map(each => ({ ...recordOf(each), partition }))
  return { topic, partition, keys: records.map(keyText), messages }
}

function fatesOf({ fates }: Desk, topic: string, partition: number): Map<string, Fate> {
  const name = `${topic}-${partition}`
  const known = fates.get(name) ?? new Map<string, Fate>()
  fates.set(name, known)
  return known
}

async function connect(kafka: Kafka, { name }: Writer, transactional: boolean): Promise<Producer> {
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    ...(transactional
      ? { transactionalId: `chaos-${name}`, transactionTimeout: TRANSACTION_TIMEOUT_MS }
      : {}),
  })
  for (let attempt = 1; ; attempt += 1) {
    try {
      await producer.connect()
      return producer
    } catch (error) {
      // The source is restarting; kafkajs waits between attempts by itself.
      if (attempt === FAILURES_IN_A_ROW_MAX) throw error
    }
  }
}

async function endTransactions(kafka: Kafka, writer: Writer): Promise<void> {
  const producer = await connect(kafka, writer, true)
  const transaction = await producer.transaction()
  await transaction.abort()
  await producer.disconnect()
}
