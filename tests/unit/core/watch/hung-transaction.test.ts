// Since when a last stable offset stands still, from what a tick of watch can see.

import { expect, test } from 'vitest'
import { hungTransactionMsMin } from '../../../../lib/core/config/defaults.ts'
import {
  hungTransactionText,
  isHung,
  type PinnedLog,
  standsSinceMs,
} from '../../../../lib/core/watch/hung-transaction.ts'

const NOW_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000
const YEAR_MS = 365 * 24 * HOUR_MS

function pinned(known: Partial<PinnedLog>): PinnedLog {
  const unknown = { reachedAtMs: null, firstBatchMs: null, lastBatchMs: null }
  return { lastStable: 10n, highWatermark: 65n, ...unknown, ...known }
}

test.each<[string, Partial<PinnedLog>, number | null]>([
  ['nothing tells it', {}, null],
  ['the checkpoint stands there', { reachedAtMs: NOW_MS - HOUR_MS }, NOW_MS - HOUR_MS],
  [
    'the log is dated by our time',
    { firstBatchMs: NOW_MS - HOUR_MS, lastBatchMs: NOW_MS - 1_000 },
    NOW_MS - HOUR_MS,
  ],
  [
    'both tell it, the earlier one counts',
    {
      firstBatchMs: NOW_MS - 2 * HOUR_MS,
      lastBatchMs: NOW_MS,
      reachedAtMs: NOW_MS - HOUR_MS,
    },
    NOW_MS - 2 * HOUR_MS,
  ],
  [
    'the log holds event times of years ago',
    { firstBatchMs: NOW_MS - 6 * YEAR_MS, lastBatchMs: NOW_MS - 6 * YEAR_MS },
    null,
  ],
  [
    'the log is dated in microseconds',
    { firstBatchMs: NOW_MS * 1000, lastBatchMs: NOW_MS * 1000 },
    null,
  ],
  ['the first batch has no timestamp', { firstBatchMs: -1, lastBatchMs: NOW_MS }, null],
])('since when a last stable offset stands still where %s', (_, known, sinceMs) => {
  expect(standsSinceMs(pinned(known), NOW_MS)).toBe(sinceMs)
})

test('a transaction counts as hung from the named time on, and not before', () => {
  expect(isHung(NOW_MS - hungTransactionMsMin, NOW_MS)).toBe(true)
  expect(isHung(NOW_MS - hungTransactionMsMin + 1, NOW_MS)).toBe(false)
})

test('the sentence about a hung transaction names offsets, time, producer and both commands', () => {
  const about = { topic: 'orders', partition: 3, lastStable: 10n, highWatermark: 65n }
  const producer = { kind: 'found', producerId: 4001n, producerEpoch: 2 } as const
  const at = { flow: 'flow', cluster: 'primary', since: '2023-11-14T22:13:20.000Z' }
  const text = hungTransactionText({ ...about, sinceMs: NOW_MS, producer }, at)
  expect(text).toBe(
    'orders-3 of flow flow: the last stable offset on primary stands at 10 since ' +
      '2023-11-14T22:13:20.000Z, 55 offsets below the high watermark 65: a transaction is open there ' +
      '(producer id 4001, epoch 2), and nothing behind it is replicated. Find it: ' +
      'kafka-transactions.sh --bootstrap-server PRIMARY find-hanging --topic orders --partition 3; ' +
      'end it: kafka-transactions.sh --bootstrap-server PRIMARY abort --topic orders --partition 3 ' +
      '--start-offset 10',
  )
})
