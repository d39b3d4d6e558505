// Kills the command of a fail-over with SIGKILL at random moments and runs it again until it is
// done, flow after flow, until the wanted number of kills is reached. Each flow must end failed
// over, with every record on its standby once and nothing behind the last fence.

import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { records } from '../kafka/records.ts'
import { startGapless } from '../processes/command-line.ts'
import { createChance } from '../seeded-chance.ts'
import { type SharedFlowFixture, shortLeases } from '../worlds/flow-fixture.ts'

export type KillsReport = {
  readonly kills: number
  readonly flows: number
  /** What was not as it must be, one sentence each. */
  readonly problems: readonly string[]
}

const PARTITIONS = 6
const RECORDS = 120
/** A command is killed so often at the most before it is left alone. */
const KILLS_PER_FLOW_MAX = 6
/** The program starts in about this time, and steps are done for about the other one. */
const START_MS = 500
const STEPS_MS = 4_500

export async function killFailovers(
  world: SharedFlowFixture,
  { kills, seed }: { readonly kills: number; readonly seed: number },
): Promise<KillsReport> {
  const chance = createChance(seed)
  const problems: string[] = []
  let killed = 0
  let flows = 0
  while (killed < kills) {
    flows += 1
    const topic = `failover-kills-${seed}-${flows}`
    await world.createTopic(topic, { partitions: PARTITIONS })
    const overrides = { budgets: shortLeases }
    const flow = world.flow([topic], overrides)
    await fill(world, topic, 0)
    await world.run(flow)
    await fill(world, topic, RECORDS)
    const cwd = await mkdtemp(join(tmpdir(), 'gapless-failover-'))
    const document = world.document({ name: flow.name, topics: [topic], ...overrides })
    await writeFile(join(cwd, 'gapless.yml'), JSON.stringify(document))
    const env = { ...world.aws.env, GAPLESS_TABLE: world.table }
    const args = ['failover', '--flow', flow.name, '--planned', '--json']
    const most = Math.min(KILLS_PER_FLOW_MAX, kills - killed)
    let isDone = false
    for (let count = 0; count < most && !isDone; count += 1) {
      const command = startGapless(args, { cwd, env })
      const afterMs = START_MS + chance.integer(0, STEPS_MS)
      const first = await Promise.race([command.ended, setTimeout(afterMs, null)])
      if (first === null) command.signal('SIGKILL')
      const { code } = await command.ended
      if (code === null) killed += 1
      isDone = code === 0
    }
    if (!isDone) {
      const { code, stdout, stderr } = await startGapless(args, { cwd, env }).ended
      if (code !== 0)
        problems.push(`${flow.name}: the last command ended by ${code}: ${stderr}${stdout}`)
    }
    problems.push(...(await differencesOf(world, { flow: flow.name, topic })))
  }
  return { kills: killed, flows, problems }
}

async function fill(world: SharedFlowFixture, topic: string, from: number): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    await world.produceInBatches(topic, records(from, RECORDS), { partition })
  }
}

async function differencesOf(
  world: SharedFlowFixture,
  { flow, topic }: { readonly flow: string; readonly topic: string },
): Promise<string[]> {
  const problems: string[] = []
  const { failover, checkpoints } = await world.checkpoints.list(flow)
  if (failover.state.kind !== 'failed-over') problems.push(`${flow} is ${failover.state.kind}`)
  const wanted = JSON.stringify(records(0, 2 * RECORDS))
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const row = checkpoints.find(each => each.partition === partition)
    if (row?.state.kind !== 'failed-over')
      problems.push(`${topic}-${partition} is ${row?.state.kind}`)
    const found = await world.readStandby(topic, partition)
    if (JSON.stringify(found) !== wanted) {
      problems.push(
        `${topic}-${partition}: ${found.length} records on the standby, or in another order`,
      )
    }
  }
  return problems
}
