// Where records keep their offsets, no log is read to translate one, also in front of everything
// that has shifted them since: records of others on the standby, a hole that is too large to be
// filled, a topic that was recreated, an unclean election, and owners that die in between.

import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'
import {
  check,
  dies,
  election,
  foreign,
  hole,
  kindsOf,
  live,
  pastOf,
  reset,
  run,
  translateAll,
  write,
} from './lived-log.ts'

const flow = { offsets: 'preserve', onDivergence: 'continue' }

function refuseReading(world: World): void {
  const lose = () => {
    throw connectionLost('standby')
  }
  world.source.control('fetch', lose)
  world.target.control('fetch', lose)
}

async function sameOffsetsOf(world: World) {
  const row = await world.checkpoint('orders')
  return row === null ? undefined : positionOf(row.state)?.sameOffsets
}

test('each offset is exact without a record read, whatever has shifted the offsets', async () => {
  const steps = fc.array(fc.oneof(write, write, write, run, run, foreign, hole, reset), {
    maxLength: 30,
  })
  await fc.assert(
    fc.asyncProperty(steps, async each => {
      const world = createWorld({ flow })
      await live(each, world)
      const past = pastOf(world)
      refuseReading(world)
      const answers = await translateAll(world)
      expect(kindsOf(answers)).toEqual(['exact'])
      check(world, answers, past)
    }),
    { numRuns: 150 },
  )
})

test('no record is skipped or read again where owners die and elections lose records, too', async () => {
  const steps = fc.array(
    fc.oneof(write, write, write, run, run, dies, foreign, hole, reset, election),
    { maxLength: 30 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async each => {
      const world = createWorld({ flow })
      await live(each, world)
      check(world, await translateAll(world), pastOf(world))
    }),
    { numRuns: 150 },
  )
})

test('an offset is the same on both sides where nothing has shifted it, and holes are filled', async () => {
  const steps = fc.array(fc.oneof(write, write, run, dies), { maxLength: 25 })
  await fc.assert(
    fc.asyncProperty(steps, async each => {
      const world = createWorld({ flow })
      await live(each, world)
      const append = vi.spyOn(world.anchors, 'append')
      const { there, back } = await translateAll(world)
      expect(there.filter(({ sourceOffset: from, targetOffset: to }) => from !== 0n + to)).toEqual(
        [],
      )
      expect(back.filter(({ sourceOffset: to, targetOffset: from }) => from !== 0n + to)).toEqual(
        [],
      )
      expect(append).not.toHaveBeenCalled()
      expect(await sameOffsetsOf(world)).toMatchObject({ distance: 0n, since: 0n })
    }),
    { numRuns: 60 },
  )
})
