// Owns the tick for one consumer group, in its order: the row that says what will be ours, then the
// commit. Does not own what is decided (looked-group.ts, core/sync).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupClaimMs, groupCommitMsMax, groupRowBytesMax } from '../../core/config/defaults.ts'
import type { GroupRow } from '../../core/row/group-row.ts'
import { commitRefusedText, type Refusal, readRefusedText } from '../../core/sync/group-refusal.ts'
import type { SyncOutcome } from '../../core/sync/group-state.ts'
import { isOnItsWay } from '../../core/sync/own-offsets.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { CommitOutcome, GroupAdmin, GroupOffsets } from '../../io/admin/group-admin.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { GroupStore } from '../../io/sync/group-store.ts'
import type { GroupPlaces } from './group-places.ts'
import {
  type GroupReport,
  type Looked,
  lookAtGroup,
  reportLooked,
  reportProblem,
  textAfter,
} from './looked-group.ts'
import type { SourceGroup } from './source-groups.ts'

type Deps = {
  readonly target: Cluster
  readonly targetGroups: GroupAdmin
  readonly groupRows: GroupStore
  readonly clock: Clock
}

export type OneGroup = {
  readonly group: SourceGroup
  readonly standby: GroupOffsets | undefined
  /** When `standby` was asked for, Unix time, ms. */
  readonly readAtMs: number
  readonly row: GroupRow | null
  readonly isActive: boolean
  readonly places: GroupPlaces
  readonly mayCommit: boolean
}

type Outcomes = Map<Looked, SyncOutcome>

/** Throws `ReplicatorError` when the table does not answer. */
export async function syncGroup(
  deps: Deps,
  flow: FlowConfig,
  input: OneGroup,
): Promise<GroupReport[]> {
  const { group, standby, mayCommit } = input
  if (standby === undefined || standby.kind === 'refused') {
    const refusal = refusalOf(deps, group, standby?.errorName ?? 'left out of the answer')
    return [reportProblem(group, readRefusedText(refusal))]
  }
  const nowMs = deps.clock.nowMs()
  const looked = lookAtGroup(flow, { ...input, standby: standby.offsets, nowMs })
  const outcomes: Outcomes = mayCommit
    ? await perform(deps, flow, { input, looked, nowMs })
    : new Map()
  return looked.map(each => reportLooked(group, each, outcomes.get(each)))
}

async function perform(
  deps: Deps,
  flow: FlowConfig,
  tick: {
    readonly input: OneGroup
    readonly looked: readonly Looked[]
    readonly nowMs: number
  },
): Promise<Outcomes> {
  const { input, looked, nowMs } = tick
  const { group, row } = input
  const held = new Set(looked.filter(each => isHeld(each, row, nowMs)))
  const outcomes = refuseForNow([...held], 'a commit of another tick may still be on its way')
  const changed = looked.filter(each => !held.has(each) && each.ownAfter !== each.own)
  if (changed.length === 0) return outcomes
  const commits = changed.filter(each => each.decision.kind === 'commit')
  const text = textAfter(row, { changed, nowMs })
  if (Buffer.byteLength(text) > groupRowBytesMax) {
    const reason = `its ${looked.length} partitions do not fit into a row of the table`
    return new Map([...outcomes, ...refuse(commits, reason)])
  }
  // A process that was frozen since it looked does not know what others committed meanwhile.
  const isLate = () => deps.clock.nowMs() - input.readAtMs > groupCommitMsMax
  const late = () => new Map([...outcomes, ...refuseForNow(commits, 'the tick took too long')])
  if (isLate()) return late()
  const version = row?.version ?? 0
  const key = { flow: flow.name, group: group.group }
  const stored = await deps.groupRows.write({ ...key, version, text, nowMs })
  if (stored === 'overtaken') {
    return new Map([...outcomes, ...refuseForNow(commits, 'another tick is committing for it')])
  }
  if (isLate()) return late()
  return new Map([...outcomes, ...(await commit(deps, group, commits))])
}

/** True while another tick, whose row is fresh, may still be about to commit. */
function isHeld({ own, decision, position }: Looked, row: GroupRow | null, nowMs: number): boolean {
  if (row === null || decision.kind !== 'commit' || !isOnItsWay(own, position.standby)) return false
  const ageMs = nowMs - row.writtenAtMs
  return ageMs >= 0 && ageMs < groupClaimMs
}

async function commit(
  deps: Deps,
  group: SourceGroup,
  commits: readonly Looked[],
): Promise<Outcomes> {
  if (commits.length === 0) return new Map()
  const offsets = commits.flatMap(({ decision, source, targetTopic: topic }) => {
    if (decision.kind !== 'commit') return []
    const { partition, metadata } = source
    return [{ topic, partition, offset: decision.synced.targetOffset, metadata }]
  })
  try {
    const answered = await deps.targetGroups.commitOffsets(group.group, offsets)
    const byName = new Map(answered.map(each => [partitionName(each), each]))
    return new Map(
      commits.map(each => {
        const { source, targetTopic: topic } = each
        const answer = byName.get(partitionName({ topic, partition: source.partition }))
        return [each, outcomeOf(deps, group, answer)]
      }),
    )
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    // The offset may be there all the same: the next tick finds out which of ours it is.
    return refuseForNow(commits, error.message)
  }
}

function outcomeOf(deps: Deps, group: SourceGroup, answer: CommitOutcome | undefined): SyncOutcome {
  if (answer === undefined) {
    const reason = `${deps.target.name} left the partition out of its answer`
    return { kind: 'refused', reason, isPassing: false }
  }
  if (answer.kind !== 'refused') return { kind: answer.kind }
  const { topic, errorName } = answer
  const reason = commitRefusedText({ ...refusalOf(deps, group, errorName), topic })
  return { kind: 'refused', reason, isPassing: false }
}

function refuse(looked: readonly Looked[], reason: string): Outcomes {
  return new Map(looked.map(each => [each, { kind: 'refused', reason, isPassing: false }]))
}

/** The next tick may commit them. */
function refuseForNow(looked: readonly Looked[], reason: string): Outcomes {
  return new Map(looked.map(each => [each, { kind: 'refused', reason, isPassing: true }]))
}

function refusalOf({ target }: Deps, { group }: SourceGroup, errorName: string): Refusal {
  return { group, cluster: target.name, principal: target.principal?.() ?? null, errorName }
}
