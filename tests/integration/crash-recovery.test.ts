// Runs that are killed at every kind of moment. The next run waits until the lease expires, logs
// the wait, fences the dead owner, and goes on behind its last record, so that every record arrives
// once. A run that was only frozen writes nothing when it wakes.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { records } from '../support/kafka/records.ts'
import { runUntilFrozen, runUntilKilled } from '../support/processes/replicate-child.ts'
import {
  outcomesOf,
  type SharedFlowFixture,
  shortLeases,
  smallBudgets,
  textsOf,
} from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

const all = records(0, 600)
// Long enough for several checkpoints at their shortest interval.
const many = records(0, 3000)
const overrides = { budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 } }

const waits = expect.stringMatching(/^Waiting \d+ s for the lease of another run to end /)
const recovers = expect.stringMatching(/^Recovering .*-0 after an unreleased lease/)

// Concurrently, because each of them waits for a lease to expire.
test.concurrent.each([
  { moment: 'lease-taken', nth: 1, produced: all },
  { moment: 'produce-sent', nth: 1, produced: all },
  { moment: 'produce-sent', nth: 20, produced: all },
  { moment: 'produce-applied', nth: 20, produced: all },
  { moment: 'produce-acknowledged', nth: 20, produced: all },
  { moment: 'checkpoint-begun', nth: 3, produced: many },
  { moment: 'checkpoint-written', nth: 3, produced: many },
] as const)('killed at $moment $nth, every record arrives once', async row => {
  const { produced, ...when } = row
  const topic = `killed-at-${when.moment}-${when.nth}`
  await world.createTopic(topic)
  const flow = world.flow([topic], overrides)
  await world.produceInBatches(topic, produced)
  await runUntilKilled(world, { ...when, flow: flow.name, topics: [topic], overrides })

  const next = await world.run(flow)
  const again = await world.run(flow)

  expect(outcomesOf(next)).toEqual(['drained'])
  expect(textsOf(next)[0]).toEqual(waits)
  // Before the first observation is stored there is no position, so nothing is recovered.
  if (when.moment !== 'lease-taken') expect(textsOf(next)).toContainEqual(recovers)
  expect(next.incidents).toEqual([])
  expect(await world.readStandby(topic)).toEqual(produced)
  expect(again.lines).toEqual([])
  expect(again.report.partitions[0]?.recordsReplicated).toBe(0n)
})

test.concurrent('killed between an incident and the position beyond it, the incident is recorded once', async () => {
  const policy = { ...overrides, onTruncation: 'continue' }
  await world.createTopic('killed-in-between')
  const flow = world.flow(['killed-in-between'], policy)
  await world.produceInBatches('killed-in-between', all.slice(0, 100))
  await world.run(flow)
  await world.produceInBatches('killed-in-between', all.slice(100, 300))
  await world.deleteRecords('killed-in-between', 200)
  await runUntilKilled(world, {
    moment: 'incident-stored',
    nth: 1,
    flow: flow.name,
    topics: ['killed-in-between'],
    overrides: policy,
  })

  const next = await world.run(flow)

  expect(outcomesOf(next)).toEqual(['drained'])
  expect(next.incidents).toMatchObject([
    {
      kind: 'log-truncated',
      resolution: 'continued',
      expectedOffset: 100n,
      foundOffset: 200n,
      lostRecordsMax: 100n,
    },
  ])
  expect(await world.readStandby('killed-in-between')).toEqual([
    ...all.slice(0, 100),
    ...all.slice(200, 300),
  ])
})

// In the second case the run passed its last check of the lease before it was frozen: only the
// broker can refuse its batch.
test.concurrent.each(['produce-applied', 'produce-begun'] as const)(
  'a run that was frozen at %s, and overtaken, writes neither records nor checkpoints when it wakes',
  async moment => {
    const topic = `frozen-at-${moment}`
    await world.createTopic(topic)
    const flow = world.flow([topic], overrides)
    await world.produceInBatches(topic, all)
    const order = { moment, nth: 20, flow: flow.name, topics: [topic], overrides }
    const frozen = await runUntilFrozen(world, order)
    const next = await world.run(flow)
    const before = await world.readStandby(topic)

    const outcomes = await frozen.wake()

    expect(outcomes).toEqual(['lease-lost'])
    expect(outcomesOf(next)).toEqual(['drained'])
    expect(before).toEqual(all)
    expect(await world.readStandby(topic)).toEqual(before)
    const later = await world.run(flow)
    expect(outcomesOf(later)).toEqual(['drained'])
    expect(later.incidents).toEqual([])
  },
)
