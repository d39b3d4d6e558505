// A handful of kills and one zombie on real brokers; tests/soak/chaos.ts does it for as long as one
// likes.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { runChaos } from '../support/chaos/chaos.ts'
import { type FlowFixture, startFlowFixture } from '../support/worlds/flow-fixture.ts'

/** On a busy machine; 40 s on a quiet one. */
const WHOLE_MS_MAX = 400_000

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture({ durableTable: true })
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

test(
  'whatever is killed, every committed record is on the standby once, in order, byte for byte',
  async () => {
    const victims = ['function', 'zombie', 'table', 'target-broker', 'source-broker'] as const

    // Of this seed the zombie sleeps, about to send, until another process copies; the source dies
    // during a transaction, the standby during a produce, the table during a checkpoint.
    const report = await runChaos(world, { kills: victims.length, seed: 100, victims })

    expect(report.struck.map(each => each.kill.victim).sort()).toEqual([...victims].sort())
    expect(report.tally.overtaken).toBeGreaterThan(0)
    expect(report.sourceFaults).toEqual([])
    expect(report.falseAlarms).toEqual([])
    expect(report.unfinished).toEqual([])
    expect(report.partitions.size).toBe(5)
    for (const { verdict, examples, duplicateExamples } of report.partitions.values()) {
      expect(verdict.records).toBeGreaterThan(0)
      expect(examples).toEqual([])
      expect(verdict).toMatchObject({ holes: 0, disordered: 0, foreign: 0 })
      expect(duplicateExamples).toEqual([])
    }
  },
  WHOLE_MS_MAX,
)
