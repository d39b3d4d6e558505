// Owns the parsers of arguments that several commands take. Each throws the accepted form;
// commander adds the name of the argument.

import { InvalidArgumentError } from 'commander'
import { brokerProblem } from '../lib/core/config/broker-address.ts'

/** A parser of whole decimal numbers in a range, for commander. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}

/** A date, or a date with a time, in UTC unless it has an offset: Unix time, ms. */
export function time(text: string): number {
  const isDate = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.test(
    text,
  )
  const hasZone = /(Z|[+-]\d{2}:\d{2})$/.test(text.slice(10))
  const value = isDate ? Date.parse(text.includes('T') && !hasZone ? `${text}Z` : text) : Number.NaN
  if (!Number.isNaN(value)) return value
  throw new InvalidArgumentError('Expected a time such as 2026-03-01 or 2026-03-01T12:00Z.')
}

/** Kafka's rule for names (org.apache.kafka.common.internals.Topic). */
export function topicName(text: string): string {
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(text) && text !== '.' && text !== '..') return text
  throw new InvalidArgumentError('Expected a topic name: 1 to 249 of a-z A-Z 0-9 . _ -')
}

export type PartitionName = { readonly topic: string; readonly partition: number }

const PARTITION_MAX = 2 ** 31 - 1

/** `orders:0` */
export function partitionName(text: string): PartitionName {
  const [, topic = '', digits = ''] = /^([^:]+):(\d{1,10})$/.exec(text) ?? []
  const partition = Number(digits)
  if (topic !== '' && partition <= PARTITION_MAX) return { topic: topicName(topic), partition }
  throw new InvalidArgumentError('Expected TOPIC:PARTITION, for example commit-log:0.')
}

export type PlaceName = PartitionName & { readonly offset: bigint }

/** `orders:0@1234` */
export function placeName(text: string): PlaceName {
  const [, partition, digits = ''] = /^([^:@]+:\d{1,10})@(\d{1,19})$/.exec(text) ?? []
  const offset = readOffset(digits)
  if (partition !== undefined && offset !== null) return { ...partitionName(partition), offset }
  throw new InvalidArgumentError('Expected TOPIC:PARTITION@OFFSET, for example commit-log:0@1234.')
}

/** null: no decimal number from 0 to 2^63-1. */
function readOffset(digits: string): bigint | null {
  const offset = /^\d{1,19}$/.test(digits) ? BigInt(digits) : -1n
  return offset >= 0n && offset <= 2n ** 63n - 1n ? offset : null
}

/** `log-start`, or an offset. */
export function resumePoint(text: string): 'log-start' | bigint {
  if (text === 'log-start') return text
  const offset = readOffset(text)
  if (offset !== null) return offset
  throw new InvalidArgumentError('Expected log-start or an offset (0 or more).')
}

/** `host:port`, or several with commas between them. */
export function brokerList(text: string): string[] {
  const brokers = text.split(',').map(part => part.trim())
  const accepted = brokers.map(brokerProblem).find(each => each !== null)
  if (accepted === undefined) return brokers
  throw new InvalidArgumentError(`Expected ${accepted}, or several with commas between them.`)
}
