// Owns the sentences about the way back of a partition: what a person must decide or mend before a
// fail-back begins. Does not own the ways (way-back.ts).

import { partitionName, type TopicPartition } from '../topic-partition.ts'
import type { WayBack } from './way-back.ts'

/** One sentence, or none where the way is open. */
export function wayProblem(
  at: TopicPartition & { readonly targetTopic: string },
  way: WayBack,
  divergent: 'refuse' | 'append',
): string[] {
  const name = partitionName(at)
  switch (way.kind) {
    case 'append':
    case 'begun':
    case 'whole':
    case 'nothing':
      return []
    case 'divergent':
      return divergent === 'append' ? [] : [divergentText(name, way)]
    case 'unknown':
      return [`${name} cannot come back yet: ${way.why}`]
  }
}

function divergentText(
  name: string,
  { from, to, records }: Extract<WayBack, { kind: 'divergent' }>,
): string {
  return (
    `${name} has ${records} records on the source that never travelled, offsets ${from} to ${to - 1n}. Save them ` +
    'with --export FILE or --export-topic NAME, and choose: --divergent append leaves them and appends behind them ' +
    '(offsets shift); or delete the topic on the source, and everything is copied back'
  )
}

/** What becomes of the partition, in a few words for a table. */
export function wayText(way: WayBack): string {
  switch (way.kind) {
    case 'append':
      return 'appended behind what was copied'
    case 'begun':
      return 'goes on'
    case 'whole':
      return 'copied back whole'
    case 'nothing':
      return 'nothing on the standby'
    case 'divergent':
      return `divergent from ${way.from} to ${way.to - 1n}`
    case 'unknown':
      return way.why
  }
}
