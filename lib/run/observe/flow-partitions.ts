// Owns the partitions of a flow as a tick and a status see them: from the source and from the rows
// of the table, with the lag of each partition. Does not own which partitions have work
// (plan/plan.ts) nor how they are shown (operate/status.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { selects } from '../../core/config/topic-selection.ts'
import { positionOf, stateOf } from '../../core/partition/partition-state.ts'
import type { Checkpoint, CorruptCheckpoint, ListedCheckpoints } from '../../core/row/checkpoint.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { type LogView, pointOf } from './logs.ts'

export type FlowPartition = TopicPartition & {
  readonly row:
    | ({ readonly kind: 'checkpoint' } & Checkpoint)
    /** No run has replicated this partition yet. */
    | { readonly kind: 'absent' }
    /** The position cannot be read: unobserved, never work; `detail` says what to do. */
    | { readonly kind: 'corrupt'; readonly detail: string }
  /** True when any partition of the topic was replicated before: this one is then a new one. */
  readonly topicIsKnown: boolean
}

/**
 * The partitions that the source has, and those that have a row although the source has them no
 * more, each once. Rows of topics that the flow does not select are left out.
 */
export function listPartitions(
  flow: FlowConfig,
  existing: readonly TopicPartition[],
  { checkpoints, corrupt }: ListedCheckpoints,
): FlowPartition[] {
  const rows = new Map<string, FlowPartition['row']>()
  const knownTopics = new Set<string>()
  const selected = new Map<string, TopicPartition>()
  for (const { topic, partition } of existing) {
    selected.set(partitionName({ topic, partition }), { topic, partition })
  }
  const add = (each: Checkpoint | CorruptCheckpoint, row: FlowPartition['row']) => {
    const { topic, partition } = each
    if (!selects(flow, topic)) return
    const name = partitionName({ topic, partition })
    rows.set(name, row)
    selected.set(name, { topic, partition })
  }
  for (const checkpoint of checkpoints) {
    add(checkpoint, { kind: 'checkpoint', ...checkpoint })
    if (checkpoint.state.kind !== 'unstarted') knownTopics.add(checkpoint.topic)
  }
  for (const each of corrupt) {
    add(each, { kind: 'corrupt', detail: corruptText(each) })
    // The topic counts as replicated: a new partition of it then starts at its log start, which may
    // copy more than `startFrom: log-end` wants, and misses nothing.
    knownTopics.add(each.topic)
  }
  return [...selected].map(([name, at]) => ({
    ...at,
    row: rows.get(name) ?? { kind: 'absent' },
    topicIsKnown: knownTopics.has(at.topic),
  }))
}

/** Offsets between the position and the end of the same log; null where that is not known. */
export function lagOf({ row }: FlowPartition, source: LogView): bigint | null {
  if (source.kind !== 'seen' || row.kind === 'corrupt') return null
  const position = positionOf(stateOf(row))
  if (position !== null && position.sourceTopicId !== source.topicId) return null
  const from = position?.nextSourceOffset ?? pointOf(source, 'log-start')
  const end = pointOf(source, 'log-end')
  return end > from ? end - from : 0n
}

function corruptText({ detail, ...at }: CorruptCheckpoint): string {
  return (
    `${partitionName(at)}: its row in the checkpoint table cannot be read, so it is not replicated. ` +
    `${detail}. Look at that row (aws dynamodb get-item), then restore it from the table's ` +
    'point-in-time backup, or delete it: without a row the partition halts, and gapless resume finds ' +
    'out from the standby how far it is (docs/OPERATING.md, "A corrupt row").'
  )
}

/** The warning about a row whose key names no partition, so that no partition can be unobserved. */
export function unnamedText(detail: string): string {
  return (
    `a row of the checkpoint table belongs to no partition and is left out. ${detail}. Look at it ` +
    '(aws dynamodb get-item), then give it the right key or delete it (docs/OPERATING.md, "A corrupt row").'
  )
}
