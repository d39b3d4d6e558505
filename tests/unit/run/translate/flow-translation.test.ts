// Questions about offsets of a flow are answered from its checkpoints and both logs.

import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { openTranslation } from '../../../../lib/run/translate/flow-translation.ts'
import { createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

const at = { topic: 'orders', partition: 0 }

describe('a flow is translated from its checkpoints', () => {
  test('a plain topic needs no row of anchors, and no record of either log', async () => {
    const world = createWorld()
    world.createTopic('orders')
    writeBatches(world.sourceLog('orders'), 5, 3)
    await world.run('orders')
    const translation = await openTranslation(world, world.flow)
    const there = await translation.translate(at, [0n, 7n, 15n, 20n].map(sourceOffset))
    const back = await translation.translateBack(at, [0n, 7n, 15n, 20n].map(targetOffset))
    expect(there).toMatchObject({
      kind: 'translated',
      targetTopic: 'primary.orders',
      standbyLog: { start: 0n, end: 15n },
      offsets: [
        { targetOffset: 0n, kind: 'exact' },
        { targetOffset: 7n, kind: 'exact' },
        { targetOffset: 15n, kind: 'exact' },
        { targetOffset: 15n, kind: 'beyond' },
      ],
    })
    expect(back).toMatchObject({
      offsets: [
        { sourceOffset: 0n, kind: 'exact' },
        { sourceOffset: 7n, kind: 'exact' },
        { sourceOffset: 15n, kind: 'exact' },
        { sourceOffset: 15n, kind: 'beyond' },
      ],
    })
  })

  test('a partition that was never copied is said to have no checkpoint', async () => {
    const world = createWorld()
    world.createTopic('orders')
    const translation = await openTranslation(world, world.flow)
    const answer = await translation.translate(at, [sourceOffset(0n)])
    expect(answer).toMatchObject({ kind: 'not-translated', reason: 'no-checkpoint' })
  })
})
