// Headers put behind those of a record, whose own bytes stay.

import { expect, test } from 'vitest'
import { bodyOf, readRecordBody, withHeaders } from '../../../lib/kafka/record.ts'

const added = [
  { key: 'gapless.source.topic', value: Buffer.from('größe') },
  { key: 'empty', value: Buffer.alloc(0) },
]

test('headers come behind those of a record, whatever its key and value are', () => {
  for (const field of [null, Buffer.alloc(0), Buffer.alloc(300, 7)]) {
    const body = bodyOf(field, field)
    const once = withHeaders(body, added)
    expect(readRecordBody(once)).toEqual({ key: field, value: field, headers: added })
    expect(readRecordBody(withHeaders(once, added)).headers).toEqual([...added, ...added])
    expect(withHeaders(body, [])).toEqual(body)
  }
})

test('seventy headers need a longer count, and are all there', () => {
  const many = Array.from({ length: 70 }, (_, index) => ({
    key: `header-${index}`,
    value: Buffer.from(String(index)),
  }))
  const body = withHeaders(bodyOf(null, null), many)
  expect(readRecordBody(withHeaders(body, added)).headers).toEqual([...many, ...added])
})
