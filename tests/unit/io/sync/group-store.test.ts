// The rows of consumer groups: of two writers that read the same row one writes, a write whose
// answer was lost is known, and a corrupt row hides no other.

import { beforeEach, expect, test } from 'vitest'
import { groupKey } from '../../../../lib/core/row/group-row.ts'
import { createGroupStore, type GroupStore } from '../../../../lib/io/sync/group-store.ts'
import { createMemoryDynamoDb } from '../../../support/table/memory-dynamodb.ts'
import { createRows, type Rows } from '../../../support/table/memory-rows.ts'

const [flow, text, other] = ['orders', 'orders:0=a.0.1', 'orders:0=b.0.1']
let rows: Rows
let store: GroupStore
beforeEach(() => {
  rows = createRows()
  store = createGroupStore(createMemoryDynamoDb(rows), 'memory')
})

const write = (group: string, version: number, text: string, nowMs = 5) =>
  store.write({ flow, group, version, text, nowMs })

test('a row is created once, and replaced by the writer that read its version', async () => {
  expect(await write('g', 0, text)).toBe('written')
  expect(await write('g', 0, other)).toBe('overtaken')
  expect(await write('g', 1, other, 6)).toBe('written')
  expect(await write('g', 1, text, 7)).toBe('overtaken')
  const { rows: listed } = await store.list(flow)
  expect(listed).toEqual([{ flow, group: 'g', version: 2, writtenAtMs: 6, text: other }])
})

test('a write that is sent again because its answer was lost has been written', async () => {
  expect(await write('g', 0, text)).toBe('written')
  expect(await write('g', 0, text)).toBe('written')
  expect(await write('g', 0, text, 6)).toBe('overtaken')
})

test('a row goes a month after its last write, by the time to live of the table', async () => {
  await write('g', 0, text, 1_700_000_000_000)
  const row = rows.get(groupKey({ flow, group: 'g' }))
  expect(row?.expiresAtS?.N).toBe(String(1_700_000_000 + 30 * 86_400))
})

test('groups of another flow are not listed, and a corrupt row hides no other', async () => {
  await write('good', 0, text)
  await write('bad', 0, 'nonsense')
  await store.write({ flow: 'other', group: 'g', version: 0, text, nowMs: 5 })
  const listed = await store.list(flow)
  expect(listed.rows.map(each => each.group)).toEqual(['good'])
  expect([...listed.corrupt]).toEqual([['bad', expect.stringContaining('groupOffsets')]])
})
