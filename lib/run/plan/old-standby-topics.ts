// Owns which standby topics a tick leaves as they are because sync is to delete them first
// (`onReset: recreate`): such a topic is not widened, and no partition begins on it. Does not own
// when it is deleted (run/delete/recreate-topic.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import type { ListedCheckpoints } from '../../core/row/checkpoint.ts'
import { awaitsDeletion } from '../../core/sync/recreation.ts'
import type { ExistingTopic } from '../observe/flow-topics.ts'
import { newSource } from '../observe/followed-topics.ts'

/** Asked with a topic of the source and the id of its standby topic. */
export type IsOldStandby = (topic: string, targetTopicId: string) => boolean

export function oldStandbyTopics(
  flow: FlowConfig,
  { checkpoints }: ListedCheckpoints,
  found: readonly ExistingTopic[],
): IsOldStandby {
  const rows = Map.groupBy(checkpoints, each => each.topic)
  const sources = new Map(found.map(each => [each.name, each]))
  return (topic, targetTopicId) => {
    const source = sources.get(topic)
    if (source === undefined) return false
    const now = { source: newSource(source), targetTopicId }
    return awaitsDeletion(flow, rows.get(topic) ?? [], now)
  }
}
