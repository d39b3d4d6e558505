// Owns what gapless committed for a consumer group as a row of the table: its key, its attributes,
// and the text of its offsets. Does not own what they mean (core/sync), nor the conditional writes
// (io/sync/group-store.ts).
//
//   pk            the flow                      sk            group/<group id>
//   groupOffsets  the offsets, see below
//   groupVersion  grows with every write: of two ticks at once, one is refused and commits nothing
//   groupWrittenAtMs  when the row was written: commits follow soon after or not at all
//   expiresAtS    the row of a group that is not synced any more goes after a month
//
//   groupOffsets:  topic:partition=offset|offset,partition=offset;topic:...
//   offset:        source.distance.seconds, in base 36: the offset on the source, how far the one
//                  on the standby is ahead of it, and when it was committed
//
// No attribute but pk and sk has the name of a checkpoint's, so that a policy can let `sync` write
// the one and not the other. Topic names hold no colon, comma or semicolon (Topic.validate).

import { sourceOffset, targetOffset } from '../offset.ts'
import type { SyncedOffset } from '../sync/group-offset.ts'
import type { OwnOffsets } from '../sync/own-offsets.ts'
import { byTopicAndPartition, type TopicPartition } from '../topic-partition.ts'
import { type Row, rowReader, type StoredRow } from './row.ts'

export const groupPrefix = 'group/'

export type GroupKey = { readonly flow: string; readonly group: string }

export type GroupRow = GroupKey & {
  /** 0: there is no row yet. */
  readonly version: number
  readonly writtenAtMs: number
  /** By topic and partition; see `groupOffsets` above. Read with `readOffsets`. */
  readonly text: string
}

export function groupKey({ flow, group }: GroupKey): Row {
  return { pk: { S: flow }, sk: { S: `${groupPrefix}${group}` } }
}

/** All attributes of a row but its key. `expiresAtMs`: Unix time, ms. */
export function groupAttributes(
  row: Omit<GroupRow, keyof GroupKey> & { readonly expiresAtMs: number },
): Row {
  return {
    groupOffsets: { S: row.text },
    groupVersion: { N: String(row.version) },
    groupWrittenAtMs: { N: String(row.writtenAtMs) },
    expiresAtS: { N: String(Math.ceil(row.expiresAtMs / 1000)) },
  }
}

/** Throws `CorruptRowError` that names the row and the attribute. */
export function readGroupRow(row: StoredRow): GroupRow {
  const read = rowReader(row)
  const text = read.text('groupOffsets')
  if (!textShape.test(text)) throw read.corrupt('groupOffsets', 'topic:partition=offset,...;...')
  return {
    flow: read.text('pk'),
    group: read.text('sk').slice(groupPrefix.length),
    version: read.number('groupVersion'),
    writtenAtMs: read.number('groupWrittenAtMs'),
    text,
  }
}

export type OwnAt = TopicPartition & { readonly own: OwnOffsets }

const offset = String.raw`[0-9a-z]+\.-?[0-9a-z]+\.[0-9a-z]+`
const partition = String.raw`\d+=${offset}(?:\|${offset})*`
const topic = `[^:;,]+:${partition}(?:,${partition})*`
const textShape = new RegExp(`^(?:${topic}(?:;${topic})*)?$`)

const RADIX = 36

export function writeOffsets(offsets: readonly OwnAt[]): string {
  const ordered = [...offsets].sort(byTopicAndPartition)
  const byTopic = Map.groupBy(ordered, each => each.topic)
  return [...byTopic]
    .map(([topic, each]) => {
      const texts = each.map(({ partition, own }) => `${partition}=${own.map(textOf).join('|')}`)
      return `${topic}:${texts.join(',')}`
    })
    .join(';')
}

/** Reads what `writeOffsets` wrote; the shape was checked when the row was read. */
export function readOffsets(text: string): OwnAt[] {
  if (text === '') return []
  return text.split(';').flatMap(ofTopic => {
    const [topic = '', partitions = ''] = ofTopic.split(':')
    return partitions.split(',').map(each => {
      const [digits = '', own = ''] = each.split('=')
      return { topic, partition: Number(digits), own: own.split('|').map(offsetOf) }
    })
  })
}

function textOf({ sourceOffset, targetOffset, committedAtMs }: SyncedOffset): string {
  const distance = BigInt(targetOffset) - BigInt(sourceOffset)
  const seconds = Math.floor(committedAtMs / 1000)
  return [sourceOffset, distance, seconds].map(each => each.toString(RADIX)).join('.')
}

function offsetOf(text: string): SyncedOffset {
  const [source = '', distance = '', seconds = ''] = text.split('.')
  const from = integerOf(source)
  return {
    sourceOffset: sourceOffset(from),
    targetOffset: targetOffset(from + integerOf(distance)),
    committedAtMs: Number(integerOf(seconds)) * 1000,
  }
}

/** 36^10 is below 2^53: so many digits are read exactly as a Number, which is much faster. */
const EXACT_DIGITS = 10

function integerOf(text: string): bigint {
  if (text.length <= EXACT_DIGITS) return BigInt(Number.parseInt(text, RADIX))
  const digits = text.replace('-', '')
  let value = 0n
  for (const digit of digits) value = value * BigInt(RADIX) + BigInt(Number.parseInt(digit, RADIX))
  return text.startsWith('-') ? -value : value
}
