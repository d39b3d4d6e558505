// Owns the texts of an exploration: its counts in one line, a counterexample as steps and as the
// command that repeats them.

import { groupDigits } from '../../cli/terminal/table.ts'
import type { Exploration } from './explorer.ts'
import type { Bounds } from './scenario.ts'

export function summarize(name: string, bounds: Bounds, exploration: Exploration): string {
  const { counts, endings, counterexample, isExhaustive } = exploration
  const figures = [
    ['states', counts.states],
    ['transitions', counts.transitions],
    ['crashes', counts.crashes],
    ['lost answers', counts.lost],
    ['terminal states', counts.terminal],
    ['worlds', counts.worlds],
    ['closed by a third owner', counts.closed],
    ['histories of an owner', counts.histories],
  ] as const
  const lines = [
    `${name}: ${figures.map(([what, count]) => `${what} ${groupDigits(BigInt(count))}`).join(', ')}`,
    `ends: ${[...endings].map(([how, times]) => `${how} ${times}`).join(', ')}`,
  ]
  if (counterexample !== null) {
    lines.push(...counterexample.story.map((line, at) => `${String(at).padStart(4)}  ${line}`))
    lines.push(`again: ${commandOf(bounds)} --replay ${counterexample.choices.join('.')}`)
  } else if (!isExhaustive) {
    lines.push('not all of them: --states-max was reached')
  }
  return lines.join('\n')
}

function commandOf(bounds: Bounds): string {
  const { records, ticks, deadline, crashes, losses, beginning } = bounds
  const flags = [
    `--records ${records} --ticks ${ticks} --deadline ${deadline}`,
    `--crashes ${crashes} --losses ${losses} --beginning ${beginning}`,
    ...(bounds.handsOver ? ['--hands-over'] : []),
    ...(bounds.lateTableWrites ? ['--late-table-writes'] : []),
    ...(bounds.offsets === 'preserve' ? [`--offsets preserve --holes ${bounds.holes}`] : []),
    ...(bounds.isCompacted ? ['--compacted'] : []),
    ...(bounds.workers ? [`--workers --ends ${bounds.ends}`] : []),
  ]
  return `node tests/exploration/run.ts ${flags.join(' ')}`
}
