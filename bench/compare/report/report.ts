// Owns the text of bench/RESULTS.md and of the block in README.md that quotes it. Pure: equal
// results and commentary give equal text. Does not own verdicts (goals.ts) or costs (money.ts).

import {
  contenderNames,
  type IdleRun,
  type LatencyRun,
  type MassRecoveryRun,
  type Provenance,
  type RecoveryRun,
  type Results,
} from '../results/results.ts'
import type { Chart } from './charts.ts'
import { addedMs, mirrorMakers, type Spread, spreadFor } from './figures.ts'
import { judgeAll } from './goals.ts'
import { describeMoney } from './money.ts'
import { profileTables } from './profile-tables.ts'
import { catchUpTables } from './throughput-tables.ts'
import { amount, count, spread, table, unknown } from './wording.ts'

export const quoteMarks = { begin: '<!-- bench:begin -->', end: '<!-- bench:end -->' }

export const neverMeasured = 'Not measured yet.'

/** The text of bench/RESULTS.md; null while no section was measured. */
export function renderReport(
  results: Results,
  charts: readonly Chart[],
  commentary: string,
): string | null {
  if (sectionsOf(results).length === 0) return null
  const picture = (file: string) =>
    charts
      .filter(chart => chart.file === file)
      .map(chart => `![${chart.title}](charts/${chart.file})`)
  const sections = [
    section('Catching up', results.catchUp?.provenance, () => [
      'A topic is filled, then copied from its beginning. Measured from the first record on the standby to the last one.',
      ...picture('records-per-second.svg'),
      ...picture('processor-per-record.svg'),
      ...(results.catchUp === undefined ? [] : catchUpTables(results.catchUp)),
    ]),
    section('Growth', results.growth?.provenance, () => [
      'The same measurement, as records and partitions grow.',
      ...picture('growth-records.svg'),
      ...picture('growth-partitions.svg'),
      ...(results.growth === undefined ? [] : catchUpTables(results.growth)),
    ]),
    section('Profile', results.profile?.provenance, () =>
      profileTables(results.profile?.runs ?? []),
    ),
    section('Latency', results.latency?.provenance, () => [
      ...picture('latency.svg'),
      ...latencyTables(results.latency?.runs ?? []),
    ]),
    section('Recovery', results.recovery?.provenance, () =>
      recoveryTables(results.recovery?.runs ?? []),
    ),
    section('Recovery of all partitions at once', results.massRecovery?.provenance, () => [
      'A worker of 512 MB is killed while it copies, and the next one recovers every partition before it goes on copying.',
      massRecoveryTable(results.massRecovery?.runs ?? []),
    ]),
    section('Cold start', results.coldStart?.provenance, () => [coldStartTable(results)]),
    section('Idle', results.idle?.provenance, () => [
      'The cost of following partitions without records, per minute, measured once each. One worker of gapless follows all of',
      'them here; a tick hands at most 200 partitions to one worker (`shardPartitionsMax`).',
      idleTable(results.idle?.runs ?? []),
    ]),
  ]
  const parts = [
    '# gapless beside MirrorMaker 2, measured',
    '<!-- Written by `npm run bench:report` from results.json and compare/report/commentary.md: edit those. -->',
    introduction,
    '## Goals',
    goalsTable(results),
    '## Where the wall is',
    commentary.trim() === '' ? 'No commentary yet.' : commentary.trim(),
    ...sections.flat(),
    ...describeMoney(results.catchUp),
  ]
  return `${parts.join('\n\n')}\n`
}

const introduction = [
  'All contenders ran on one machine, one after the other in alternating order, on the same data, and a figure counts only if',
  'its copy was equal to its source. Only ratios say something about other machines. Figures are medians of the rounds, with the',
  'lowest and the highest round in brackets. A ratio compares medians: gapless with 512 MB to the better configuration of',
  'MirrorMaker 2 in that figure. The physical limit is a process that fetches the same bytes and discards them, and produces',
  'prepared batches.',
].join('\n')

function goalsTable(results: Results): string {
  return table(
    ['goal', 'wanted', 'measured', 'gapless, 512 MB', 'MirrorMaker 2, the better one', 'verdict'],
    judgeAll(results).map(each => [
      each.goal,
      each.wanted,
      each.measured,
      each.gapless,
      each.mirrorMaker,
      each.verdict === 'met' ? 'met' : `**${each.verdict}**`,
    ]),
  )
}

/** Says of a section without provenance that it was never measured. */
function section(
  title: string,
  provenance: Provenance | undefined,
  render: () => readonly string[],
): string[] {
  if (provenance === undefined) return [`## ${title}`, neverMeasured]
  return [`## ${title}`, provenanceLine(provenance), ...render()]
}

function provenanceLine({ measuredAt, command, commit, machine, versions, load }: Provenance) {
  const { node, kafka, java } = versions
  return (
    `\`${command}\`, ${dateOf(measuredAt)}, commit ${commit}; ${machine}; load ${amount(load)} before; ` +
    `Node ${node.replace(/^v/, '')}, Kafka ${kafka}, Java ${java}.`
  )
}

/** `2026-11-23 19:30 UTC`. */
function dateOf(measuredAt: string): string {
  return `${measuredAt.slice(0, 16).replace('T', ' ')} UTC`
}

function latencyTables(runs: readonly LatencyRun[]): string[] {
  const rates = [...new Set(runs.map(run => run.recordsPerSecond))].sort((a, b) => a - b)
  return rates.flatMap(rate => {
    const atRate = runs.filter(run => run.recordsPerSecond === rate)
    const rows = ranIn(atRate).map(name => [
      name,
      spread(spreadFor(atRate, name, addedMs('p50'))),
      spread(spreadFor(atRate, name, addedMs('p99'))),
      spread(spreadFor(atRate, name, addedMs('max'))),
      spread(spreadFor(atRate, name, run => run.source.p50)),
      spread(
        spreadFor(atRate, name, run => run.processorPercent),
        ' %',
      ),
    ])
    const added = ['added p50', 'added p99', 'added max']
    return [
      `At ${count(rate)} records/s, ms: the age of a record when a consumer of the standby has it, minus its age when a consumer of the source has it.`,
      table(['', ...added, "the source's own p50", 'processor'], rows),
    ]
  })
}

const eventNames = {
  reset: 'A topic is deleted and recreated',
  'reset-while-stopped':
    'The same while the replicator is stopped, and the new topic has outgrown the old one',
  truncation: 'Retention removes records before they were copied',
  crash: 'The replicator is killed',
  'crash-noticed': 'The same with the notice that Lambda sends of a failed invocation',
} satisfies Record<RecoveryRun['event'], string>

function recoveryTables(runs: readonly RecoveryRun[]): string[] {
  const events = ['reset', 'reset-while-stopped', 'truncation', 'crash', 'crash-noticed'] as const
  return events.flatMap(event => {
    const ofEvent = runs.filter(run => run.event === event)
    const rows = ranIn(ofEvent).map(name => {
      const ofContender = ofEvent.filter(run => run.contender === name)
      const told = [...new Set(ofContender.map(run => run.told.trim()))].filter(each => each !== '')
      return [name, recoverySeconds(ofContender), told.join('; ') || 'nothing']
    })
    const title = `${eventNames[event]}: seconds to the first record on the standby that was written after it.`
    return [title, rows.length === 0 ? neverMeasured : table(['', 's', 'what it reported'], rows)]
  })
}

/** A round without a record is named, and is never part of a median. */
function recoverySeconds(runs: readonly RecoveryRun[]): string {
  const came = runs.flatMap(run => (run.seconds === null ? [] : [run.seconds]))
  const patience = Math.max(...runs.map(run => run.patienceSeconds))
  const never = runs.length - came.length
  const none = `none within ${count(patience)} s`
  if (came.length === 0) return never > 1 ? `${none} (${never} rounds)` : none
  const times: Spread = {
    median: spreadFor(runs, runs[0]?.contender ?? '', run => run.seconds ?? Infinity)?.median ?? 0,
    min: Math.min(...came),
    max: Math.max(...came),
    rounds: came.length,
  }
  if (never === 0) return spread(times)
  return `${amount(times.min)}–${amount(times.max)}; ${none} in ${never} of ${runs.length} rounds`
}

function massRecoveryTable(runs: readonly MassRecoveryRun[]): string {
  const rows = runs.map(run => [
    `${run.case}, ${count(run.partitions)} partitions: ${run.contender}`,
    count(run.comparedRecords),
    amount(run.seconds),
    count(run.crashedPeakMemoryMb),
    count(run.peakMemoryMb),
  ])
  const memory = ['peak memory of the killed worker, MB', 'of the next worker, MB']
  return table(['', 'records compared', 'until all is copied, s', ...memory], rows)
}

function coldStartTable({ coldStart }: Results): string {
  const runs = coldStart?.runs ?? []
  const rows = ranIn(runs).map(name => [
    name,
    spread(spreadFor(runs, name, run => run.milliseconds)),
    spread(spreadFor(runs, name, run => run.processorMilliseconds)),
  ])
  return table(['', 'to the first record, ms', 'processor until then, ms'], rows)
}

function idleTable(runs: readonly IdleRun[]): string {
  const counts = [...new Set(runs.map(run => run.partitions))].sort((a, b) => a - b)
  const figures: readonly ((run: IdleRun) => number)[] = [
    run => run.sourceRequests,
    run => run.targetRequests,
    run => run.tableWrites,
    run => run.processorSeconds,
    run => run.memoryMb,
  ]
  const rows = counts.flatMap(partitions => {
    const ofCount = runs.filter(run => run.partitions === partitions)
    return ranIn(ofCount).map(name => [
      `${count(partitions)} ${partitions === 1 ? 'partition' : 'partitions'}: ${name}`,
      ...figures.map(figure => spread(spreadFor(ofCount, name, figure))),
    ])
  })
  const head = ['', 'requests to the source', 'requests to the standby', 'table writes']
  return table([...head, 'processor, s', 'memory, MB'], rows)
}

/** The contenders of these runs in the order of the report. */
function ranIn(runs: readonly { readonly contender: string }[]): string[] {
  const order = [contenderNames.gapless512, contenderNames.gapless1024, ...mirrorMakers]
  return [...order, contenderNames.limit].filter(name => runs.some(run => run.contender === name))
}

function sectionsOf(results: Results): Provenance[] {
  const { catchUp, growth, profile, latency, recovery, massRecovery, coldStart, idle } = results
  return [catchUp, growth, profile, latency, recovery, massRecovery, coldStart, idle].flatMap(
    each => each?.provenance ?? [],
  )
}

/** The block in README.md, without its marks. */
export function renderQuote(results: Results): string {
  const measured = sectionsOf(results)
  if (measured.length === 0) return neverMeasured
  const dates = [...new Set(measured.map(each => each.measuredAt.slice(0, 10)))].sort()
  const when = dates.length === 1 ? dates[0] : `${dates[0]} to ${dates.at(-1)}`
  const machines = [...new Set(measured.map(each => each.machine))].join('; ')
  const rows = judgeAll(results).map(each => [
    each.goal,
    each.gapless,
    each.mirrorMaker,
    each.measured,
    each.verdict === unknown ? each.wanted : `${each.wanted}: ${each.verdict}`,
  ])
  return [
    table(['', 'gapless', 'MirrorMaker 2', 'measured', 'goal'], rows),
    '',
    `Measured ${when} on ${machines}, side by side on the same data: gapless with 512 MB, and the better of MirrorMaker 2's`,
    'defaults and its documented tuning. Only ratios are claimed: [bench/RESULTS.md](bench/RESULTS.md) has all figures with their spread.',
  ].join('\n')
}

/** Throws unless the page has both marks once, in this order. */
export function replaceQuote(page: string, quote: string): string {
  const [before, ...afterBegin] = page.split(quoteMarks.begin)
  const [, ...afterEnd] = (afterBegin[0] ?? '').split(quoteMarks.end)
  if (afterBegin.length !== 1 || afterEnd.length !== 1) {
    throw new Error(
      `README.md: expected ${quoteMarks.begin} and then ${quoteMarks.end}, once each, around the quoted figures`,
    )
  }
  return `${before}${quoteMarks.begin}\n${quote}\n${quoteMarks.end}${afterEnd[0]}`
}
