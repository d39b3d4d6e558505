// A few kills and one zombie on real brokers; tests/soak/chaos.ts does the same with any number of
// kills.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { runChaos } from '../support/chaos/chaos.ts'
import { type FlowFixture, startFlowFixture } from '../support/worlds/flow-fixture.ts'

/** The bound on a busy machine; a quiet one takes 40 s. */
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

    // With this seed the zombie is frozen right before a Produce until another process copies. The
    // source is killed during a transaction, the standby during a Produce, the table during a
    // checkpoint.
    const report = await runChaos(world, { kills: victims.length, seed: 100, victims })

    expect(report.struck.map(each => each.kill.victim).sort()).toEqual([...victims].sort())
    expect(report.tally.overtaken).toBeGreaterThan(0)
    expect(report.sourceFaults).toEqual([])
    expect(report.falseAlarms).toEqual([])
    expect(report.unfinished).toEqual([])
    expect(report.misplaced).toEqual([])
    expect(report.audits.differences).toEqual([])
    expect(report.audits.complete).toBeGreaterThan(0)
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
