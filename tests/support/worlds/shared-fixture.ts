// The flows of one test file between the clusters that all integration tests share. The table is
// the file's own; topics are not, so each file names its topics as no other file does. A test that
// stops a broker starts its own with `startFlowFixture`.

import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { openFlowFixture, type SharedFlowFixture } from './flow-fixture.ts'
import type { SharedWorld } from './shared-world.ts'

/**
 * Waits until the clusters run: 2 to 6 s on an idle machine where no other file asked before.
 * `isOneCluster`: the source is the standby, too.
 */
export async function openSharedFixture(isOneCluster = false): Promise<SharedFlowFixture> {
  const response = await fetch(inject('sharedWorldUrl'))
  const text = await response.text()
  if (!response.ok) throw new Error(`the shared clusters did not start: ${text}`)
  const world = JSON.parse(text) as SharedWorld
  const target = isOneCluster ? world.source : world.target
  return openFlowFixture({ ...world, target, table: `gapless-${randomUUID()}` })
}
