// Owns removing all that a fail-over drill made: its group and its topic on both clusters, and its
// rows in the table. Repeated, it means the same. The row of the drill goes last, so that a removal
// which was interrupted is found again. Does not own when a drill is removed (cli/drill).

import { reverseName } from '../../core/config/cross-checks.ts'
import { errorText } from '../../core/error-text.ts'
import type { Drill } from '../../core/row/drill-row.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { DrillStore } from '../../io/failover/drill-store.ts'

/** What the removal needs of one cluster. */
export type DrilledCluster = {
  readonly name: string
  readonly topics: Pick<TopicAdmin, 'deleteTopic'>
  readonly removeGroup: (group: string) => Promise<unknown>
}

/** What could not be removed, one sentence each; empty: nothing is left. Throws nothing. */
export async function removeDrill(
  deps: {
    readonly drills: Pick<DrillStore, 'removeFlow' | 'end'>
    readonly source: DrilledCluster
    readonly standby: DrilledCluster
  },
  { drill, topic, targetTopic }: Pick<Drill, 'drill' | 'topic' | 'targetTopic'>,
): Promise<readonly string[]> {
  const { drills, source, standby } = deps
  const left: string[] = []
  const remove = async (what: string, run: () => Promise<unknown>) => {
    try {
      await run()
    } catch (error) {
      left.push(`${what}: ${errorText(error)}`)
    }
  }
  for (const { name, removeGroup } of [standby, source]) {
    await remove(`group ${drill} on ${name}`, () => removeGroup(drill))
  }
  await remove(`topic ${targetTopic} on ${standby.name}`, () =>
    standby.topics.deleteTopic(targetTopic),
  )
  await remove(`topic ${topic} on ${source.name}`, () => source.topics.deleteTopic(topic))
  for (const flow of [reverseName(drill), drill]) {
    await remove(`rows of flow ${flow} in the table`, () => drills.removeFlow(flow))
  }
  if (left.length === 0) await remove(`row of drill ${drill} in the table`, () => drills.end(drill))
  return left
}
