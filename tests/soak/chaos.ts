// Chaos on real brokers, for any number of kills. Exits 1 when a committed record is missing, out
// of order or changed, when a record is on the standby twice (unless --no-exactly-once), and when
// the run itself proves nothing.
//
//   node tests/soak/chaos.ts [--kills 100] [--seed S]
//     [--victim function|zombie|broker|table|any] [--no-exactly-once]
//     [--standby as-sent|LogAppendTime|recompress] [--quotas] [--offsets preserve|translate]
//     [--fillers transactions|markers]

import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { groupDigits, renderTable } from '../../cli/terminal/table.ts'
import { endStarted, removeStarted } from '../../localstack/scratch/brokers.ts'
import { type ChaosReport, runChaos } from '../support/chaos/chaos.ts'
import { activities, type Victim } from '../support/chaos/kills.ts'
import { standbySettings } from '../support/chaos/standby-settings.ts'
import type { Struck } from '../support/chaos/strike.ts'
import { fetchChosenBrokers } from '../support/kafka/chosen-brokers.ts'
import { startFlowFixture } from '../support/worlds/flow-fixture.ts'

const EXAMPLES_MAX = 20

const chosen: Record<string, readonly [Victim, ...Victim[]]> = {
  function: ['function'],
  zombie: ['zombie'],
  broker: ['source-broker', 'target-broker'],
  table: ['table'],
  // The function most often: only a function loses its state, or acts too late after a freeze.
  any: ['function', 'function', 'zombie', 'zombie', 'source-broker', 'target-broker', 'table'],
}

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    victim: { type: 'string', default: 'any' },
    standby: { type: 'string', default: 'as-sent' },
    quotas: { type: 'boolean', default: false },
    offsets: { type: 'string', default: 'translate' },
    fillers: { type: 'string', default: 'transactions' },
    'exactly-once': { type: 'boolean', default: true },
  },
  allowNegative: true,
})

const kills = Number(values.kills)
const seed = Number(values.seed)
const victims = chosen[values.victim]
if (!Number.isInteger(kills) || kills < 1) throw new Error('--kills takes a whole number from 1')
if (!Number.isInteger(seed)) throw new Error('--seed takes a whole number')
if (victims === undefined) throw new Error(`--victim takes ${Object.keys(chosen).join(', ')}`)

const standby = standbySettings.find(each => each === values.standby)
if (standby === undefined) throw new Error(`--standby takes ${standbySettings.join(', ')}`)
const { quotas } = values
const offsets = values.offsets === 'preserve' ? 'preserve' : 'translate'
if (offsets !== values.offsets) throw new Error('--offsets takes preserve or translate')
const fillers = values.fillers === 'markers' ? 'markers' : 'transactions'
if (fillers !== values.fillers) throw new Error('--fillers takes transactions or markers')

const exactlyOnce = values['exactly-once']
const version = await fetchChosenBrokers()
const startedMs = performance.now()
const transcript: string[] = []
const note = (line: string) => {
  transcript.push(`${(performance.now() - startedMs).toFixed(0)} ${line}`)
}
let ok = false
try {
  const world = await startFlowFixture({ durableTable: true })
  const report = await runChaos(world, {
    kills,
    seed,
    victims,
    standby,
    quotas,
    offsets,
    fillers,
    onLine: (process, line) => note(`${process}: ${line}`),
    onStrike: ({ kill, underWay }, nth) => {
      const { victim, afterMs, freeze, frozenMs } = kill
      const how = victim === 'zombie' ? `, frozen ${freeze} ${frozenMs} ms` : ''
      const during = underWay.length === 0 ? '' : `, during ${underWay.join(', ')}`
      const what = `kill ${nth} of ${kills}: ${victim}, ${afterMs} ms${how}${during}`
      note(what)
      console.error(what)
    },
  })
  await world.disconnect()
  ok = print(report)
} finally {
  if (ok) await removeStarted()
  else await keepForAnalysis()
}

/** A hole that occurs once in a hundred kills must be explained from the files of this run. */
async function keepForAnalysis(): Promise<void> {
  process.exitCode = 1
  const dirs = await endStarted()
  const file = join(await mkdtemp(join(tmpdir(), 'gapless-chaos-')), 'transcript.txt')
  await writeFile(file, transcript.join('\n'))
  const flags = `--kills ${kills} --seed ${seed} --victim ${values.victim}`
  const setting = `--standby ${standby}${quotas ? ' --quotas' : ''} --offsets ${offsets} --fillers ${fillers}`
  const more = ` ${setting}${exactlyOnce ? '' : ' --no-exactly-once'}`
  const brokers = process.env.KAFKA_VERSION ? `KAFKA_VERSION=${version} ` : ''
  console.error(`Failed. Again: ${brokers}node tests/soak/chaos.ts ${flags}${more}`)
  console.error(`The transcript of every process: ${file}`)
  console.error(`The logs of both clusters and the table: ${dirs.join(', ')}`)
}

/** Prints the report; returns whether it holds every promise. */
function print(report: ChaosReport): boolean {
  const partitions = [...report.partitions].map(([name, { verdict }]) => ({ name, ...verdict }))
  const sum = (field: 'records' | 'duplicates' | 'holes' | 'disordered' | 'foreign') =>
    partitions.reduce((total, each) => total + each[field], 0)
  const total = {
    name: 'all',
    records: sum('records'),
    duplicates: sum('duplicates'),
    holes: sum('holes'),
    disordered: sum('disordered'),
    foreign: sum('foreign'),
  }
  const count = (head: Exclude<keyof typeof total, 'name'>) => ({
    head,
    align: 'right' as const,
    cell: (row: typeof total) => groupDigits(row[head]),
  })
  const columns = [
    { head: 'partition', cell: (row: typeof total) => row.name },
    ...(['records', 'duplicates', 'holes', 'disordered', 'foreign'] as const).map(count),
  ]
  console.log(renderTable(columns, [...partitions, total]))
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  console.log(renderStruck(report.struck))
  const { batch, continuous, handOvers, ...zombies } = report.tally
  console.log(
    `zombies: ${zombies.overtaken} runs overtaken, refused to them: ${zombies.refusedBatches} ` +
      `record batches by the broker, ${zombies.refusedCheckpoints} checkpoints by the table`,
  )
  const { audits } = report
  console.log(
    `gapless audit while parts were killed, and at the end: ${audits.complete} complete, ` +
      `${groupDigits(audits.recordsEqual)} records equal, ${audits.differences.length} partitions with a difference`,
  )
  console.log(
    `processes: ${batch} batch, ${continuous} continuous, ${handOvers} of them by hand-over`,
  )
  console.log(`Kafka ${version}, seed ${seed}: ${report.struck.length} kills, ${seconds} s`)
  const { committed, aborted, unknown, undecided } = report.written
  console.log(
    `written: ${committed} committed, ${aborted} aborted, ${unknown + undecided} without an answer`,
  )
  if (report.contradicted > 0) {
    const what = 'records have another outcome in the source than their producer was told'
    console.log(`${report.contradicted} ${what}: the comparison goes by the source's log`)
  }
  for (const [why, times] of report.failures) console.log(`${times} runs failed: ${why}`)
  const examples = [...report.partitions].flatMap(([name, found]) =>
    [...found.examples, ...(exactlyOnce ? found.duplicateExamples : [])].map(
      example => `${name}: ${example}`,
    ),
  )
  for (const line of report.evidence) console.log(line)
  const wrong = [
    ...[...report.sourceFaults, ...report.falseAlarms, ...report.unfinished],
    ...report.misplaced,
    ...report.audits.differences,
  ]
  for (const line of [...wrong, ...examples].slice(0, EXAMPLES_MAX)) console.log(line)
  const { holes, disordered, foreign, duplicates, records } = total
  const lost = holes + disordered + foreign + (exactlyOnce ? duplicates : 0)
  return wrong.length === 0 && lost === 0 && records > 0
}

/** Per victim: how often it was killed, and during which activities. */
function renderStruck(struck: readonly Struck[]): string {
  const during = ['transaction', ...activities] as const
  const name = ({ kill }: Struck) =>
    kill.victim === 'zombie' ? `zombie, ${kill.freeze}` : kill.victim
  const rows = [...Map.groupBy(struck, name)].sort(([left], [right]) => (left < right ? -1 : 1))
  const count = (head: (typeof during)[number]) => ({
    head,
    align: 'right' as const,
    cell: ([, all]: (typeof rows)[number]) =>
      String(all.filter(each => each.underWay.includes(head)).length),
  })
  return renderTable(
    [
      { head: 'victim', cell: ([victim]) => victim },
      { head: 'kills', align: 'right', cell: ([, all]) => String(all.length) },
      ...during.map(count),
    ],
    rows,
  )
}
