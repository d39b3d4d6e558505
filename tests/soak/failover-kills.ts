// Kills the commands of planned fail-overs and fail-backs on real brokers, and runs each again
// until it is done.
// Exits 1 when a record is missing, repeated or in another order.
//
//   node tests/soak/failover-kills.ts [--kills 30] [--seed S]

import { parseArgs } from 'node:util'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { killFailovers } from '../support/chaos/failover-kills.ts'
import { fetchChosenBrokers } from '../support/kafka/chosen-brokers.ts'
import { startFlowFixture } from '../support/worlds/flow-fixture.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const [kills, seed] = [Number(values.kills), Number(values.seed)]
if (!Number.isInteger(kills) || kills < 1) throw new Error('--kills takes a whole number from 1')
if (!Number.isInteger(seed)) throw new Error('--seed takes a whole number')

const version = await fetchChosenBrokers()
const startedMs = performance.now()
const world = await startFlowFixture()
try {
  const report = await killFailovers(world, { kills, seed })
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  const problems = report.problems.length
  console.info(
    `${report.kills} kills of ${report.flows} ways there and back in ${seconds} s, Kafka ${version}, seed ${seed}: ${problems} problems`,
  )
  for (const problem of report.problems) console.info(problem)
  process.exitCode = problems === 0 ? 0 : 1
} finally {
  await world.disconnect()
  await removeStarted()
}
