// A handful of kills on real brokers; tests/soak/chaos.ts does the same for as long as one likes.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../support/brokers.ts'
import { runChaos } from '../support/chaos.ts'
import { type FlowFixture, startFlowFixture } from '../support/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture({ durableTable: true })
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

test('whatever is killed, every committed record is on the standby once, in order, byte for byte', async () => {
  const kills = ['function', 'table', 'function', 'target-broker', 'source-broker'] as const

  const report = await runChaos(world, { kills: kills.length, seed: 1, victims: kills })

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
})
