// What a real coordinator does not answer on demand: an error of one partition. The requests and
// all other answers are tested on real brokers (tests/integration/groups.test.ts).

import { expect, test } from 'vitest'
import { createGroupAdmin } from '../../../../lib/io/admin/group-admin.ts'

type Partition = {
  readonly partitionIndex: number
  readonly committedOffset: bigint
  readonly errorCode: number
}

const coordinator = { key: 'billing', nodeId: 1, host: 'broker', port: 9092, errorCode: 0 }

function adminOf(partitions: readonly Partition[]) {
  const topics = [{ name: 'orders', partitions }]
  const groups = [{ groupId: 'billing', topics, errorCode: 0 }]
  const answer = <T>(response: object) => Promise.resolve(response as T)
  return createGroupAdmin({
    name: 'standby',
    brokers: {
      onAny: () => answer({ coordinators: [coordinator] }),
      onBroker: () => answer({ groups }),
      onEvery: () => Promise.reject(new Error('no group is listed here')),
    },
  })
}

const committed = { partitionIndex: 0, committedOffset: 5n, errorCode: 0 }

test('a partition without a committed offset is left out', async () => {
  const never = { partitionIndex: 1, committedOffset: -1n, errorCode: 0 }
  const read = await adminOf([committed, never]).readOffsets(['billing'])
  const offsets = [{ topic: 'orders', partition: 0, offset: 5n, metadata: null }]
  expect(read).toEqual([{ group: 'billing', kind: 'read', offsets }])
})

test('an offset that cannot be read refuses the group: nobody may take it for none', async () => {
  // UNSTABLE_OFFSET_COMMIT: a transaction that commits offsets is open.
  const unstable = { partitionIndex: 1, committedOffset: -1n, errorCode: 88 }
  const read = await adminOf([committed, unstable]).readOffsets(['billing'])
  expect(read).toEqual([{ group: 'billing', kind: 'refused', errorName: 'UNSTABLE_OFFSET_COMMIT' }])
})
