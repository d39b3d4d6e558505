// Owns the topics of a flow that another flow writes on the standby as well, where only the topics
// themselves tell that the patterns of both flows meet (core/config/flow-conflicts.ts has what the
// configuration tells). Two writers would see foreign records behind their own for ever, so such a
// topic is left to the flow that has a checkpoint of it, and to none where both have or neither.

import type { FlowConfig } from '../../core/config/config.ts'
import type { NamedRules } from '../../core/config/flow-conflicts.ts'
import { selects, sourceTopicName, targetTopicName } from '../../core/config/topic-selection.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { ListedCheckpoints } from '../../core/row/checkpoint.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'

export type ContestedTopics = {
  /** Why this flow may not write the copy of a source topic; null: it may. */
  of(topic: string): string | null
  readonly observationFailures: readonly ObservationFailure[]
}

/** Lists the checkpoints of another flow only where its patterns meet a topic of this one. */
export async function readContested(
  checkpoints: Pick<CheckpointStore, 'list'>,
  flow: FlowConfig,
  topics: readonly string[],
  own: ListedCheckpoints,
): Promise<ContestedTopics> {
  const details = new Map<string, string>()
  const ours = writtenTopics(own)
  for (const rival of flow.rivals ?? []) {
    const shared = topics.filter(
      each => selects(flow, each) && sharedWith(rival, flow, each) !== null,
    )
    if (shared.length === 0) continue
    const theirs = writtenTopics(await checkpoints.list(rival.name))
    for (const topic of shared) {
      const isOurs = ours.has(topic)
      const isTheirs = theirs.has(sharedWith(rival, flow, topic) ?? '')
      // A pattern may match a name that its own source does not have: then it has no checkpoint.
      const isContested = isTheirs || (!isOurs && rival.from === flow.from)
      if (isContested) details.set(topic, detailOf(rival, flow, topic))
    }
  }
  return {
    of: topic => details.get(topic) ?? null,
    observationFailures: [...details].map(([topic, detail]) => ({
      kind: 'unobserved',
      reason: 'topic-refused',
      cluster: flow.to,
      topic: targetTopicName(flow, topic),
      detail,
    })),
  }
}

/** The source topic of the rival whose copy has the name of the copy of `topic`; null: none. */
function sharedWith(rival: NamedRules, flow: FlowConfig, topic: string): string | null {
  const theirs = sourceTopicName(rival, targetTopicName(flow, topic))
  return theirs !== null && selects(rival, theirs) ? theirs : null
}

function writtenTopics({ checkpoints, corrupt }: ListedCheckpoints): Set<string> {
  const started = checkpoints.filter(each => each.state.kind !== 'unstarted')
  return new Set([...started, ...corrupt].map(each => each.topic))
}

function detailOf(rival: NamedRules, flow: FlowConfig, topic: string): string {
  return (
    `flow ${rival.name} writes it as well, so flow ${flow.name} does not copy ${topic} into it; ` +
    'exclude the topic from one of the two flows'
  )
}
