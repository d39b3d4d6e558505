// Anchors are added behind those that a checkpoint names, by the owner of the lease alone.

import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { anchorsKey } from '../../../../lib/core/row/anchors-row.ts'
import { CorruptRowError } from '../../../../lib/core/row/row.ts'
import type { Anchor } from '../../../../lib/core/translate/anchor.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'

const key = { flow: 'flow', topic: 'orders', partition: 3 }
const of = { sourceTopicId: 'source-1', targetTopicId: 'target-1' }

/** A line without holes would need no anchor between its ends. */
function anchor(number: number, reason: Anchor['reason'] = 'spacing'): Anchor {
  const at = BigInt(number)
  return {
    sourceOffset: sourceOffset(at * 10n),
    targetOffset: targetOffset(at * 9n),
    copiedRecords: at * 9n,
    atMs: number,
    reason,
  }
}

const start = anchor(0, 'start')

async function leased() {
  const stores = createMemoryStores()
  const lease = { targetTopic: 'primary.orders', nowMs: 1_000, leaseMs: 20_000 }
  const taken = await stores.checkpoints.acquire({ key, owner: 'one', ...lease })
  if (taken.kind !== 'acquired') throw new Error('the lease is held')
  return { ...stores, lease, fence: taken.checkpoint.lease.fence }
}

describe('the row of anchors', () => {
  test('anchors are read back in order, and those of another topic are none', async () => {
    const { anchors, fence } = await leased()
    const added = [anchor(1), anchor(2)]
    const input = { key, fence, of, behind: start, anchors: added, nowMs: 5 }
    expect(await anchors.append(input)).toBe('appended')
    expect(await anchors.append({ ...input, behind: anchor(2), anchors: [anchor(3)] })).toBe(
      'appended',
    )
    expect(await anchors.read(key, of)).toEqual([start, ...added, anchor(3)])
    expect(await anchors.read(key, { ...of, sourceTopicId: 'source-2' })).toEqual([])
    expect(await anchors.read(key, { ...of, targetTopicId: 'target-2' })).toEqual([])
    expect(await anchors.read({ ...key, partition: 4 }, of)).toEqual([])
  })

  test('an owner whose lease another run has acquired adds nothing', async () => {
    const { anchors, fence, checkpoints, lease } = await leased()
    await checkpoints.acquire({ key, owner: 'two', ...lease, nowMs: 100_000 })
    const input = { key, fence, of, behind: start, anchors: [anchor(1)], nowMs: 5 }
    expect(await anchors.append(input)).toBe('overtaken')
    expect(await anchors.read(key, of)).toEqual([])
  })

  test('what a dead owner stored beyond its checkpoint goes with the next anchor', async () => {
    const { anchors, fence } = await leased()
    const dead = [anchor(1), anchor(2), anchor(3)]
    await anchors.append({ key, fence, of, behind: start, anchors: dead, nowMs: 5 })
    const other: Anchor = { ...anchor(4), targetOffset: targetOffset(30n), copiedRecords: 29n }
    await anchors.append({ key, fence, of, behind: anchor(1), anchors: [other], nowMs: 6 })
    expect(await anchors.read(key, of)).toEqual([start, anchor(1), other])
  })

  test('the first anchor of a recreated topic replaces those of the one before', async () => {
    const { anchors, fence } = await leased()
    await anchors.append({ key, fence, of, behind: start, anchors: [anchor(1)], nowMs: 5 })
    const next = { ...of, sourceTopicId: 'source-2' }
    const reset = { ...start, targetOffset: targetOffset(40n), reason: 'reset' as const }
    const behind: Anchor = { ...anchor(1), targetOffset: targetOffset(48n), copiedRecords: 8n }
    await anchors.append({ key, fence, of: next, behind: reset, anchors: [behind], nowMs: 6 })
    expect(await anchors.read(key, of)).toEqual([])
    expect(await anchors.read(key, next)).toEqual([reset, behind])
  })

  test('a row that cannot be read is named to a reader, and replaced by an owner', async () => {
    const { anchors, fence, putRow } = await leased()
    await putRow({ ...anchorsKey(key), anchors: { S: '?' } })
    await expect(anchors.read(key, of)).rejects.toThrow(CorruptRowError)
    await expect(anchors.read(key, of)).rejects.toThrow(
      'Row "flow" "anchors/orders/0000000003": attribute anchors is {"S":"?"}',
    )
    await anchors.append({ key, fence, of, behind: start, anchors: [anchor(1)], nowMs: 5 })
    expect(await anchors.read(key, of)).toEqual([start, anchor(1)])
  })
})
