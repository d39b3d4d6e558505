// Owns the plan of a fail-over, which a person is asked about: what is missing on the standby, and
// what keeps a planned one from beginning. Changes nothing. Does not own the steps that follow
// (failover-steps.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { quietLookMs } from '../../core/config/failover-limits.ts'
import {
  disquietOf,
  type PartitionFailover,
  planPartition,
} from '../../core/failover/failover-plan.ts'
import type {
  Decision,
  FailoverKind,
  FlowFailover,
  Topics,
} from '../../core/failover/flow-failover.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { RunOnceDeps } from '../operate/run-once.ts'
import type { DriveDeps } from './drive.ts'
import type { LastSync } from './last-sync.ts'
import { lookAtFlow } from './look.ts'

/** One group and partition, as `gapless groups --json` shows it. */
export type SyncedGroup = LastSync[number]

export type FailoverDeps = RunOnceDeps &
  DriveDeps & {
    /** An id that no decision had before. */
    readonly newId: () => string
    /** Asks a person whether to go on with what the plan says is missing. */
    readonly confirm: (plan: FailoverPlan) => Promise<boolean>
    /** Syncs the groups for the last time; left out: groups are not synced. */
    readonly syncGroups?: (
      flow: FlowConfig,
      decision: Pick<Decision, 'topics' | 'how'>,
    ) => Promise<readonly SyncedGroup[]>
    /** Grants applications what was withheld from them on the standby; left out: nothing is. */
    readonly grantWrite?: (flow: FlowConfig, topics: Topics) => Promise<void>
  }

export type FailoverRequest = { readonly how: FailoverKind; readonly topics: Topics }

export type FailoverPlan = {
  readonly flow: string
  readonly how: FailoverKind
  readonly topics: Topics
  readonly state: FlowFailover
  readonly partitions: readonly PartitionFailover[]
  /** What keeps a planned fail-over from beginning, one sentence each. */
  readonly disquiet: readonly string[]
  readonly unobserved: readonly string[]
}

/** The plan of a fail-over by two looks at both clusters. Changes nothing. */
export async function planFailover(
  deps: FailoverDeps,
  flow: FlowConfig,
  { how, topics }: FailoverRequest,
): Promise<FailoverPlan> {
  const first = await lookAtFlow(deps, flow, topics)
  if (how === 'planned') await deps.clock.wait(quietLookMs)
  const look = how === 'planned' ? await lookAtFlow(deps, flow, topics) : first
  refuseUnknownTopics(flow, topics, look.partitions)
  return {
    ...{ flow: flow.name, how, topics },
    state: look.listed.failover.state,
    partitions: look.partitions.map(planPartition),
    disquiet: [...look.unobserved, ...disquietOf(look.partitions, first.partitions)],
    unobserved: look.unobserved,
  }
}

function refuseUnknownTopics(
  { name }: FlowConfig,
  topics: Topics,
  partitions: readonly { readonly topic: string }[],
): void {
  const unknown = (topics ?? []).filter(topic => !partitions.some(each => each.topic === topic))
  if (unknown.length === 0) return
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `Flow ${name} has no topic ${unknown.join(', ')}, neither on the source nor in the table`,
    hint: `See the topics of the flow: gapless status --flow ${name}`,
  })
}
