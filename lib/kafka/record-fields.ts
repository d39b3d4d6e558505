// Owns reading key, value and headers of one record from its body (record.ts has the layout), for
// people who look at records that were left behind. The data path never opens a body. Does not own
// where the body came from.

import { DecodeError } from './decode-error.ts'

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

function damaged(field: string, at: number): DecodeError {
  return new DecodeError({ api: 'Record', version: 2, field, at, found: 'the end of the record' })
}
