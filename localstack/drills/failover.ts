// `npm run drill`: moves a flow from one cluster to the other and back, on two clusters and a table
// of its own, and prints the account: what was written, what was read, what was lost, and how long
// each move took. Exit code 1 when a number is not what it must be.

import { describeFailure } from '../../cli/failure.ts'
import { StackError } from '../processes/stack-error.ts'
import { tellStory } from './failover-story.ts'
import { openDrillWorld } from './failover-world.ts'
import { createMeasured } from './scenarios.ts'

/** A socket that a client library left open must not keep the process alive for longer. */
const lingerMs = 2_000

async function drill(): Promise<number> {
  const startedMs = performance.now()
  console.log('Starting two Kafka clusters and a table...')
  const world = await openDrillWorld()
  const measured = createMeasured(line => console.log(line))
  try {
    await tellStory(world, measured)
  } finally {
    await world.close()
  }
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
  const failures = measured.failures()
  const verdict = failures === 0 ? 'PASSED' : `FAILED (${failures} checks failed)`
  console.log(`drill ${verdict} in ${seconds} s`)
  return failures === 0 ? 0 : 1
}

try {
  process.exitCode = await drill()
} catch (error) {
  const lines = error instanceof StackError ? [error.message] : describeFailure(error).lines
  for (const line of lines) console.error(line)
  process.exitCode = 1
}
setTimeout(() => process.exit(), lingerMs).unref()
