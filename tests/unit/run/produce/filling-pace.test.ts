// The pace of fillers: it is measured, and a run says once where the source makes holes faster than
// they are filled.

import { expect, test } from 'vitest'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { createRunMeter } from '../../../../lib/run/replicate/run-metrics.ts'
import { writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld } from '../../../support/worlds/replicate-world.ts'

const MARKER_MS = 100

/** Every marker takes `MARKER_MS`, and brings `grown` more holes and records to the source. */
function growingWorld(grown: number, writtenMax = 1_200) {
  const world = createWorld({ flow: { offsets: 'preserve' } })
  world.createTopic('orders')
  const log = world.sourceLog('orders')
  let written = 0
  const grow = () => {
    log.leaveHole(1n)
    writeNumbered(log, 1, { from: written, size: 1 })
    written += 1
  }
  for (let each = 0; each < 5; each += 1) grow()
  world.target.control('writeAbortMarker', async (serve, ...args) => {
    await world.clock.wait(MARKER_MS)
    if (written < writtenMax) for (let each = 0; each < grown; each += 1) grow()
    return serve(...args)
  })
  return world
}

/** A batch run ends with what the source had when it was first fetched. */
const runOn = (world: ReturnType<typeof growingWorld>) =>
  world.run('orders', { isContinuous: true, deadlineMs: world.clock.nowMs() + 120_000 })

const outrun = (world: ReturnType<typeof growingWorld>) =>
  world.lines.map(({ text }) => text).filter(text => text.includes('falls behind'))

test('a source that makes two holes in the time of one filler is said to be faster, once', async () => {
  const world = growingWorld(2)
  await runOn(world)
  const [said, ...more] = outrun(world)
  expect(said).toMatch(/^orders-0 \(flow flow\) falls behind: .* 10 fillers a second .* 2\.0 s of /)
  expect(more).toEqual([])
})

test('offsets that the source will always be ahead of are left, long before the bound of a backlog', async () => {
  // Behind 500 fillers the backlog needs 550 s.
  const world = growingWorld(12, 7_000)
  await runOn(world)
  const state = (await world.checkpoint('orders'))?.state
  expect(outrun(world)).toHaveLength(1)
  expect(state && positionOf(state)).toMatchObject({ offsetsLeft: { since: expect.anything() } })
})

test('nothing is said of a source whose holes are filled in time', async () => {
  const world = growingWorld(1)
  await runOn(world)
  expect(outrun(world)).toEqual([])
})

test('the rate is that of filling, and has no value where nothing was filled', async () => {
  const world = growingWorld(0)
  const sent: unknown[] = []
  const meter = createRunMeter(values => sent.push(values))
  meter.end(await world.run('orders', { meter }))
  expect(sent).toEqual([expect.objectContaining({ PlacesFilled: 5, FillerRate: 10 })])
  const quiet = createRunMeter(values => sent.push(values))
  quiet.end(await world.run('orders', { meter: quiet }))
  expect(sent.at(-1)).not.toHaveProperty('FillerRate')
})
