// Owns the tables of the profile section: shares of the processor time, of the process and of its
// main thread.

import type { ProfileRun } from '../results/results.ts'
import { amount, table } from './wording.ts'

export function profileTables(runs: readonly ProfileRun[]): string[] {
  const rows = runs.map(run => {
    const { processorMilliseconds: all, mainThreadMilliseconds, parts } = run
    const others = Math.max(0, all - mainThreadMilliseconds)
    const figures = [parts.system, parts.collecting, parts.node, parts.bundle, others]
    return [run.case, amount(all / 1000), ...figures.map(each => percent(each, all))]
  })
  const head = ['', 'processor, s', 'sockets, kernel', 'collecting garbage', "Node's JavaScript"]
  return [
    'Where gapless spends processor time, its start included: shares of the whole process under V8’s sampling profiler.\n' +
      'The other threads compile and collect garbage.',
    table([...head, 'gapless and its packages', 'other threads'], rows),
    ...runs.map(
      ({ case: name, functions, mainThreadMilliseconds: all }) =>
        `${name}, the most expensive functions of the main thread: ${functions
          .map(each => `\`${each.name}\` ${percent(each.milliseconds, all)}`)
          .join(', ')}.`,
    ),
  ]
}

function percent(part: number, all: number): string {
  return `${amount((part / all) * 100)} %`
}
