// Owns a record of the old source that never travelled as one line of JSON: bytes in base64, so
// that nothing of it is lost. Reads key, value and headers from the record's body, whose layout is
// in kafka/record.ts; the data path never opens a body. Does not own the file.

import { DecodeError } from '../../kafka/decode-error.ts'
import type { TopicPartition } from '../topic-partition.ts'

export type RecordFields = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[]
}

/** Throws `DecodeError` for a body that ends too early. */
export function readFields(body: Buffer): RecordFields {
  let at = 0
  const varint = (field: string): number => {
    let value = 0
    // A VARINT of a length has five bytes at the most.
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = body[at]
      if (byte === undefined) throw damaged(field, at)
      at += 1
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
    throw damaged(field, at)
  }
  const bytes = (field: string): Buffer | null => {
    const length = varint(field)
    if (length < 0) return null
    if (at + length > body.length) throw damaged(field, at)
    at += length
    return body.subarray(at - length, at)
  }
  const key = bytes('key')
  const value = bytes('value')
  const count = varint('headers count')
  const headers: { key: string; value: Buffer | null }[] = []
  for (let each = 0; each < count; each += 1) {
    headers.push({ key: bytes('header key')?.toString() ?? '', value: bytes('header value') })
  }
  return { key, value, headers }
}

/** `createTime`: the producer's timestamp, Unix time, ms; null: the broker replaced it. */
export function exportedLine(
  { topic, partition }: TopicPartition,
  record: {
    readonly offset: bigint
    readonly body: Buffer
    readonly createTime: bigint | null
  },
): string {
  const { offset, body, createTime } = record
  const { key, value, headers } = readFields(body)
  return JSON.stringify({
    ...{ topic, partition, offset: String(offset), timestamp: createTime?.toString() ?? null },
    ...{ key: base64(key), value: base64(value) },
    headers: headers.map(each => ({ key: each.key, value: base64(each.value) })),
  })
}

function base64(bytes: Buffer | null): string | null {
  return bytes?.toString('base64') ?? null
}

function damaged(field: string, at: number): DecodeError {
  return new DecodeError({ api: 'Record', version: 2, field, at, found: 'the end of the record' })
}
