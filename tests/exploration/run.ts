// Explores the ownership protocol from the command line. Without bounds it explores all bounds of
// the tests, and the long form. Exits 1 when a state is wrong, and prints the shortest way to it,
// or when not every state was visited.
//
//   node tests/exploration/run.ts [--records 3] [--crashes 1] [--losses 1] [--ticks 1]
//     [--deadline 9] [--beginning fresh|left-behind] [--hands-over] [--late-table-writes]
//     [--workers] [--ends declared|lost] [--offsets preserve] [--holes 1] [--compacted]
//     [--states-max 3000000] [--replay 0.2.1]

import { parseArgs } from 'node:util'
import { explore, tellStory } from './explorer.ts'
import { type Bounds, exhaustive, longForm } from './scenario.ts'
import { summarize } from './summary.ts'

const { values } = parseArgs({
  options: {
    records: { type: 'string' },
    crashes: { type: 'string', default: '1' },
    losses: { type: 'string', default: '0' },
    ticks: { type: 'string', default: '1' },
    deadline: { type: 'string', default: '9' },
    beginning: { type: 'string', default: 'fresh' },
    'hands-over': { type: 'boolean', default: false },
    'late-table-writes': { type: 'boolean', default: false },
    workers: { type: 'boolean', default: false },
    ends: { type: 'string', default: 'never' },
    offsets: { type: 'string', default: 'translate' },
    holes: { type: 'string', default: '0' },
    compacted: { type: 'boolean', default: false },
    'states-max': { type: 'string', default: '3000000' },
    replay: { type: 'string' },
  },
})

const statesMax = wholeNumber('states-max', values['states-max'])
if (values.replay !== undefined) {
  const choices = values.replay.split('.').map(Number)
  for (const line of await tellStory(ownBounds(), choices)) console.log(line)
} else if (values.records !== undefined) {
  await report('these bounds', ownBounds())
} else {
  for (const [name, bounds] of Object.entries({ ...exhaustive, ...longForm })) {
    await report(name, bounds)
  }
}

async function report(name: string, bounds: Bounds): Promise<void> {
  const startedMs = performance.now()
  const exploration = await explore(bounds, { statesMax })
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(`${summarize(name, bounds, exploration)}\n${seconds} s\n`)
  if (exploration.counterexample !== null || !exploration.isExhaustive) process.exitCode = 1
}

function ownBounds(): Bounds {
  return {
    records: wholeNumber('records', values.records ?? '2'),
    crashes: wholeNumber('crashes', values.crashes) > 0 ? 1 : 0,
    losses: wholeNumber('losses', values.losses) > 0 ? 1 : 0,
    ticks: wholeNumber('ticks', values.ticks),
    deadline: wholeNumber('deadline', values.deadline),
    beginning: beginningOf(values.beginning),
    handsOver: values['hands-over'],
    lateTableWrites: values['late-table-writes'],
    workers: values.workers,
    ends: endsOf(values.ends),
    offsets: values.offsets === 'preserve' ? 'preserve' : 'translate',
    holes: wholeNumber('holes', values.holes),
    isCompacted: values.compacted,
  }
}

function wholeNumber(flag: string, text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 0) throw new Error(`--${flag} takes a whole number`)
  return number
}

function endsOf(text: string): Bounds['ends'] {
  if (text === 'never' || text === 'declared' || text === 'lost') return text
  throw new Error('--ends takes never, declared or lost')
}

function beginningOf(text: string): Bounds['beginning'] {
  if (text === 'fresh' || text === 'left-behind') return text
  throw new Error('--beginning takes fresh or left-behind')
}
