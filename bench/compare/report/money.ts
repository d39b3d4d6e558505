// Owns the cost of a terabyte on paper: measured processor seconds times the prices of
// docs/DEPLOY.md. Nothing was billed.

import { budgetDefaults } from '../../../lib/core/config/defaults.ts'
import { type CatchUp, type CatchUpCase, contenderNames } from '../results/results.ts'
import { runsOf, spreadFor } from './figures.ts'
import { isPlainCase } from './goals.ts'
import { amount, count, table } from './wording.ts'

/** List prices of us-east-1, arm64, the same as in docs/DEPLOY.md. */
export const prices = {
  dollarsPerGbSecond: 0.0000133334,
  dollarsPerMillionInvocations: 0.2,
  dollarsPerMillionWrites: 0.625,
}

/** In Lambda 1,769 MB come with one processor; less memory has a proportional share. */
const WHOLE_PROCESSOR_MB = 1_769
const FUNCTION_MB = 512
const MB_PER_GB = 1_024
/** replicateTimeoutS of docs/DEPLOY.md. */
const INVOCATION_SECONDS = 900
const BYTES_PER_TB = 1e12

export type Money = {
  readonly processorSeconds: number
  readonly functionSeconds: number
  readonly gbSeconds: number
  readonly invocations: number
  readonly tableWrites: number
  readonly dollars: number
}

/** The cost of 10^12 bytes of record values. `microsPerRecord`: of a whole processor. */
export function moneyPerTerabyte(
  { recordBytes, partitions }: CatchUpCase,
  microsPerRecord: number,
): Money {
  const processorSeconds = ((BYTES_PER_TB / recordBytes) * microsPerRecord) / 1e6
  const functionSeconds = processorSeconds / (FUNCTION_MB / WHOLE_PROCESSOR_MB)
  const gbSeconds = functionSeconds * (FUNCTION_MB / MB_PER_GB)
  const invocations = Math.ceil(functionSeconds / INVOCATION_SECONDS)
  const writesPerSecond = partitions / (budgetDefaults.checkpointIntervalMs / 1000)
  const tableWrites = functionSeconds * writesPerSecond
  const dollars =
    gbSeconds * prices.dollarsPerGbSecond +
    (invocations * prices.dollarsPerMillionInvocations +
      tableWrites * prices.dollarsPerMillionWrites) /
      1e6
  return { processorSeconds, functionSeconds, gbSeconds, invocations, tableWrites, dollars }
}

export function describeMoney(catchUp: CatchUp | undefined): string[] {
  const known = (catchUp?.cases ?? []).flatMap(each => {
    const runs = catchUp === undefined ? [] : runsOf(catchUp, each.name)
    const micros = spreadFor(
      runs,
      contenderNames.gapless512,
      run => run.processorMicrosPerRecord,
    )?.median
    return micros === undefined ? [] : [{ each, micros, money: moneyPerTerabyte(each, micros) }]
  })
  const shown = known.find(({ each }) => isPlainCase(each)) ?? known[0]
  if (shown === undefined)
    return ['## Money', 'Not measured yet: it takes the processor time of catching up.']
  const rows = known.map(({ each, micros, money }) => [
    each.name,
    amount(micros),
    amount(money.processorSeconds),
    amount(money.functionSeconds / 3600),
    amount(money.gbSeconds),
    amount(money.tableWrites),
    amount(money.dollars),
  ])
  const head = [
    'per TB (10^12 bytes of values)',
    'µs per record',
    'processor s',
    'hours of a worker',
  ]
  return [
    '## Money',
    onPaper,
    arithmetic(shown.each, shown.micros, shown.money),
    table([...head, 'GB-seconds', 'table writes', 'dollars'], rows),
  ]
}

const interval = count(budgetDefaults.checkpointIntervalMs / 1000)

const onPaper = [
  "*On paper.* Processor time is gapless's own, measured on this machine (see *Catching up*); nothing was billed. A function of",
  `${FUNCTION_MB} MB has ${FUNCTION_MB} / ${count(WHOLE_PROCESSOR_MB)} of a processor, and an arm64 one, which is not this machine's:`,
  'a second there may be worth more or less than one here. Prices are those of [DEPLOY](../docs/DEPLOY.md#what-it-costs), list',
  'prices of us-east-1, to be looked up again. What the network asks is not in it, and is more. Each partition writes a',
  `checkpoint every ${interval} s while it copies; the table's reads, leases and the ticks cost less than what is rounded here.`,
  'One worker copies alone, as long as it takes.',
].join('\n')

/** The arithmetic of one case, step by step. */
function arithmetic({ name, recordBytes, partitions }: CatchUpCase, micros: number, money: Money) {
  const { dollarsPerGbSecond, dollarsPerMillionInvocations, dollarsPerMillionWrites } = prices
  const processor = `${amount(money.processorSeconds)} s`
  const running = `${amount(money.functionSeconds)} s`
  const gigabytes = `${FUNCTION_MB / MB_PER_GB} GB`
  const gbSeconds = `${amount(money.gbSeconds)} GB-seconds`
  const invocations = `${count(money.invocations)} invocations`
  const writes = `${amount(money.tableWrites)} writes`
  return [
    `${name}:`,
    '',
    '```',
    `processor  10^12 B / ${count(recordBytes)} B x ${amount(micros)} µs = ${processor}`,
    `function   ${processor} / (${FUNCTION_MB} / ${count(WHOLE_PROCESSOR_MB)}) = ${running}`,
    `           ${running} x ${gigabytes} = ${gbSeconds}`,
    `           ${running} / ${INVOCATION_SECONDS} s = ${invocations}`,
    `table      ${running} / ${interval} s x ${count(partitions)} partitions = ${writes}`,
    `Lambda     ${gbSeconds} x ${dollarsPerGbSecond} = ${dollarsOf(money.gbSeconds * dollarsPerGbSecond)}`,
    `           ${invocations} x ${dollarsPerMillionInvocations} / 10^6 = ${millionths(money.invocations, dollarsPerMillionInvocations)}`,
    `DynamoDB   ${writes} x ${dollarsPerMillionWrites} / 10^6 = ${millionths(money.tableWrites, dollarsPerMillionWrites)}`,
    `together   ${dollarsOf(money.dollars)}`,
    '```',
  ].join('\n')
}

function millionths(number: number, dollarsPerMillion: number): string {
  return dollarsOf((number * dollarsPerMillion) / 1e6)
}

function dollarsOf(value: number): string {
  return `${amount(value)} dollars`
}
