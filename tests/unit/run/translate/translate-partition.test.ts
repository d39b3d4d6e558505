// Offsets are translated as a brute-force reading of both logs translates them: plain,
// transactional, compacted, truncated, coalesced and changed logs, by numbers that no code chose.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { writesAppendTime } from '../../../support/doubles/changing-broker.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { createWorld } from '../../../support/worlds/replicate-world.ts'
import {
  check,
  cut,
  dies,
  foreign,
  kindsOf,
  live,
  pastOf,
  run,
  translateAll,
  write,
} from './lived-log.ts'

const modes = ['translate', 'preserve'] as const

describe.each(modes)(
  'with offsets: %s, every offset is translated without a record skipped or read again',
  offsets => {
    const flow = { offsets }

    test('a log of plain, committed and aborted records, whatever a run copied at a time', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.oneof(write, run), { maxLength: 25 }), async steps => {
          const world = createWorld({ flow })
          await live(steps, world)
          const answers = await translateAll(world)
          expect(kindsOf(answers)).toEqual(['exact'])
          check(world, answers, pastOf(world))
        }),
        { numRuns: 80 },
      )
    })

    test('a log whose owners die between their records and their checkpoints', async () => {
      const steps = fc.array(fc.oneof(write, write, run, dies), { maxLength: 25 })
      await fc.assert(
        fc.asyncProperty(steps, async each => {
          const world = createWorld({ flow })
          await live(each, world)
          const answers = await translateAll(world)
          expect(kindsOf(answers)).toEqual(['exact'])
          check(world, answers, pastOf(world))
        }),
        { numRuns: 60 },
      )
    })

    test('a log to whose copy others write between the runs, and whose owners die', async () => {
      const steps = fc.array(fc.oneof(write, write, run, foreign, dies), { maxLength: 25 })
      await fc.assert(
        fc.asyncProperty(steps, async each => {
          const world = createWorld({ flow })
          await live(each, world)
          check(world, await translateAll(world), pastOf(world))
        }),
        { numRuns: 80 },
      )
    })

    test('a log whose sides are compacted and truncated on their own', async () => {
      const kept = fc.array(fc.boolean(), { minLength: 150, maxLength: 150 })
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.oneof(write, write, run, dies), { maxLength: 25 }),
          fc.record({
            source: kept,
            target: kept,
            sourceStart: fc.nat(30),
            targetStart: fc.nat(30),
          }),
          async (steps, lost) => {
            const world = createWorld({ flow })
            await live(steps, world)
            const past = pastOf(world)
            world.sourceLog('orders').compact(offset => lost.source[Number(offset)] ?? true)
            world.targetLog('orders').compact(offset => lost.target[Number(offset)] ?? true)
            cut(world.sourceLog('orders'), lost.sourceStart)
            cut(world.targetLog('orders'), lost.targetStart)
            check(world, await translateAll(world), past)
          },
        ),
        { numRuns: 120 },
      )
    })

    test('a log whose copy carries the time of the standby in every record', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.oneof(write, run), { maxLength: 20 }), async steps => {
          const world = createWorld({ flow, targetChange: writesAppendTime })
          await live(steps, world)
          check(world, await translateAll(world), pastOf(world))
        }),
        { numRuns: 30 },
      )
    })

    test('a log whose source does not answer any more, with a bound where the source had holes', async () => {
      const steps = fc.array(fc.oneof(write, run, foreign, dies), { maxLength: 25 })
      await fc.assert(
        fc.asyncProperty(steps, fc.boolean(), async (each, isSeen) => {
          const world = createWorld({ flow })
          await live(each, world)
          const past = pastOf(world)
          const lose = () => {
            throw connectionLost('primary')
          }
          // It may still answer when it is observed, and no more when it is read.
          if (!isSeen) world.source.control('describeTopics', lose)
          world.source.control('fetch', lose)
          check(world, await translateAll(world), past)
        }),
        { numRuns: 60 },
      )
    })
  },
)
