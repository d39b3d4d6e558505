// Kills the commands of a fail-over and of its fail-back with SIGKILL at random moments and runs
// them again until they are done, flow after flow, until the wanted number of kills is reached.
// Each flow must end failed over, then active, with every record on its clusters once, in order.

import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { records } from '../kafka/records.ts'
import { startGapless } from '../processes/command-line.ts'
import { type Chance, createChance } from '../seeded-chance.ts'
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
const KILLS_PER_COMMAND_MAX = 4
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
    const place = { cwd, env: { ...world.aws.env, GAPLESS_TABLE: world.table } }
    const give = async (command: readonly string[]) => {
      const args = [...command, '--flow', flow.name, '--json']
      const most = Math.min(KILLS_PER_COMMAND_MAX, kills - killed)
      const given = await killUntilDone(args, place, { most, chance })
      killed += given.kills
      problems.push(...given.problems.map(each => `${flow.name}: ${each}`))
    }
    await give(['failover', '--planned'])
    const state = { flow: flow.name, topic, state: 'failed-over' } as const
    problems.push(...(await differencesOf(world, { ...state, records: 2 * RECORDS })))
    await fill(world, topic, 2 * RECORDS, 'standby')
    await give(['failback', '--yes'])
    const back = { ...state, state: 'active', records: 3 * RECORDS } as const
    problems.push(...(await differencesOf(world, back)))
  }
  return { kills: killed, flows, problems }
}

/** Kills a command `most` times at the most, then leaves it alone until it has ended. */
async function killUntilDone(
  args: readonly string[],
  place: Parameters<typeof startGapless>[1],
  { most, chance }: { readonly most: number; readonly chance: Chance },
): Promise<{ readonly kills: number; readonly problems: readonly string[] }> {
  let kills = 0
  for (let count = 0; count < most; count += 1) {
    const command = startGapless(args, place)
    const afterMs = START_MS + chance.integer(0, STEPS_MS)
    const first = await Promise.race([command.ended, setTimeout(afterMs, null)])
    if (first === null) command.signal('SIGKILL')
    const { code } = await command.ended
    if (code === 0) return { kills, problems: [] }
    if (code === null) kills += 1
  }
  const { code, stdout, stderr } = await startGapless(args, place).ended
  const what = `gapless ${args.join(' ')} ended by ${code}: ${stderr}${stdout}`
  return { kills, problems: code === 0 ? [] : [what] }
}

async function fill(
  world: SharedFlowFixture,
  topic: string,
  from: number,
  side: 'primary' | 'standby' = 'primary',
): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const wanted = records(from, RECORDS)
    if (side === 'primary') await world.produceInBatches(topic, wanted, { partition })
    else await world.produceToStandby(`primary.${topic}`, wanted, partition)
  }
}

async function differencesOf(
  world: SharedFlowFixture,
  wanted: {
    readonly flow: string
    readonly topic: string
    readonly state: 'failed-over' | 'active'
    readonly records: number
  },
): Promise<string[]> {
  const { flow, topic } = wanted
  const problems: string[] = []
  const { failover, checkpoints } = await world.checkpoints.list(flow)
  if (failover.state.kind !== wanted.state) problems.push(`${flow} is ${failover.state.kind}`)
  const state = wanted.state === 'active' ? 'replicating' : 'failed-over'
  const all = JSON.stringify(records(0, wanted.records))
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const row = checkpoints.find(each => each.partition === partition)
    const name = `${topic}-${partition}`
    if (row?.state.kind !== state) problems.push(`${name} is ${row?.state.kind}`)
    const held = [await world.readStandby(topic, partition)]
    if (wanted.state === 'active') held.push(await world.readPrimary(topic, partition))
    for (const found of held) {
      if (JSON.stringify(found) === all) continue
      problems.push(`${name}: ${found.length} records, not ${wanted.records}, or in another order`)
    }
  }
  return problems
}
