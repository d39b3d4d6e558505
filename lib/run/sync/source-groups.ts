// Owns which consumer groups of the source a tick is about, and their offsets there. Reads only: a
// source without any right to write is enough. Does not own what is committed (sync-groups.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupIdBytesMax } from '../../core/config/defaults.ts'
import { selects } from '../../core/config/topic-selection.ts'
import { readRefusedText } from '../../core/sync/group-refusal.ts'
import {
  internalTopicsText,
  namedGroups,
  selectsGroup,
  unsyncedTypeText,
} from '../../core/sync/group-selection.ts'
import type { CommittedOffset, GroupAdmin, ListedGroup } from '../../io/admin/group-admin.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { describe } from '../observe/logs.ts'

export type SourceGroup = {
  readonly group: string
  readonly type: string
  /** The offsets of topics that the flow replicates. */
  readonly offsets: readonly CommittedOffset[]
  /** Why nothing of the group can be synced; null: something may be. */
  readonly problem: string | null
  /** What is to be said of a group whose offsets are synced all the same. */
  readonly note: string | null
}

export type SourceGroups = {
  /** By group id. Groups that have committed nothing for the flow are left out. */
  readonly groups: readonly SourceGroup[]
  /** What could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
}

/** Throws `BrokerFailure` when the source does not answer. */
export async function readSourceGroups(
  { source, sourceGroups }: { readonly source: Cluster; readonly sourceGroups: GroupAdmin },
  flow: FlowConfig,
  /** Groups that were synced before: where a listing lacks one, it is asked for by name. */
  known: readonly string[],
): Promise<SourceGroups> {
  const { groups: listed, failures } = await sourceGroups.listGroups()
  const found = new Map(listed.map(each => [each.group, each]))
  const named = new Set(namedGroups(flow))
  for (const group of [...named, ...known]) {
    if (!found.has(group) && selectsGroup(flow, group)) found.set(group, unlisted(group))
  }
  const selected = [...found.values()].filter(each => selectsGroup(flow, each.group))
  const isReadable = (each: ListedGroup) => problemOf(each) === null
  const readable = selected.filter(isReadable)
  const read = await sourceGroups.readOffsets(readable.map(each => each.group))
  const topics = readable.length === 0 ? [] : await topicNames(source)
  const groups = selected.filter(each => !isReadable(each)).map(without(problemOf))
  const principal = source.principal?.() ?? null
  for (const [index, each] of readable.entries()) {
    const offsets = read[index]
    if (offsets?.kind === 'refused') {
      const { errorName } = offsets
      const refusal = { group: each.group, cluster: source.name, principal, errorName }
      groups.push(without(() => readRefusedText(refusal))(each))
      continue
    }
    const ours = offsets?.offsets.filter(({ topic }) => selects(flow, topic)) ?? []
    const nothing = `the group has committed nothing on ${source.name}`
    if (ours.length > 0) {
      const note = internalTopicsText(flow, each.group, topics)
      groups.push({ ...shown(each), offsets: ours, problem: null, note })
    } else if (named.has(each.group)) groups.push(without(() => nothing)(each))
  }
  return {
    groups: groups.sort((left, right) => (left.group < right.group ? -1 : 1)),
    unobserved: failures.map(each => `${source.name}: ${each.message}`),
  }
}

function unlisted(group: string): ListedGroup {
  return { group, type: 'unknown', protocolType: '', state: 'unknown' }
}

function problemOf({ type, group }: ListedGroup): string | null {
  if (Buffer.byteLength(group) > groupIdBytesMax) {
    return `its id has more than ${groupIdBytesMax} bytes, which the table does not take`
  }
  return unsyncedTypeText(type)
}

function shown({ group, type }: ListedGroup): Pick<SourceGroup, 'group' | 'type'> {
  return { group, type }
}

function without(problem: (group: ListedGroup) => string | null) {
  return (each: ListedGroup): SourceGroup => {
    return { ...shown(each), offsets: [], problem: problem(each), note: null }
  }
}

/** The names of all topics; none where the source does not tell, and nothing is said of them. */
async function topicNames(source: Cluster): Promise<string[]> {
  const topics = await describe(source, null)
  return 'kind' in topics ? [] : [...topics.keys()]
}
