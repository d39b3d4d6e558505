// Owns what each step of a fail-over does: the files beside this one and the fence do its work. A
// step that is done again, by a command that was killed in it, changes nothing more. Does not own
// the order of the steps (core/failover/transition.ts), nor what follows from a problem
// (failover.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { fencesInFlightMax } from '../../core/config/failover-limits.ts'
import { disquietOf, undrainedOf } from '../../core/failover/failover-plan.ts'
import type { Decision, FailoverStep } from '../../core/failover/flow-failover.ts'
import { concurrently } from '../concurrently.ts'
import { endWorkers, untilReleased } from '../fence/end-workers.ts'
import { fencePartition } from '../fence/fence-partition.ts'
import { reopenPartition } from '../fence/reopen-partition.ts'
import { compareTails } from './compare-tails.ts'
import { drain } from './drain.ts'
import type { Driving } from './drive.ts'
import { lookAtFlow } from './look.ts'
import type { FailoverDeps, SyncedGroup } from './plan-failover.ts'

/** What a step found. `problems`: it did not succeed, and a planned fail-over is aborted. */
type StepDone = {
  readonly problems: readonly string[]
  readonly groups?: readonly SyncedGroup[]
}

const done: StepDone = { problems: [] }

type Step = (
  deps: FailoverDeps,
  flow: FlowConfig,
  at: { readonly driving: Driving; readonly decision: Decision },
) => Promise<StepDone>

export const steps: Record<FailoverStep, Step> = {
  async stopping(deps, flow, { decision }) {
    const ended = await endWorkers(deps, flow.name)
    await untilReleased(deps, flow, { ended, topics: decision.topics })
    return done
  },

  async draining(deps, flow, { decision, driving }) {
    await driving.assertDriving()
    const owner = `${deps.owner}/drain/${deps.newId()}`
    const report = await drain(deps, flow, { decision, owner })
    if (decision.how === 'unplanned') return done
    const { partitions, unobserved } = await lookAtFlow(deps, flow, decision.topics)
    const problems = [...unobserved, ...disquietOf(partitions, null), ...undrainedOf(partitions)]
    return { problems: problems.length === 0 ? [] : [...problems, ...report.failures] }
  },

  async syncing(deps, flow, { decision }) {
    const groups = await deps.syncGroups?.(flow, decision)
    return { problems: [], groups: groups ?? [] }
  },

  async fencing(deps, flow, { decision, driving }) {
    // A command that was frozen while it drained, or a run that began by hand.
    await endWorkers(deps, flow.name)
    const { assertDriving } = driving
    const fenceDeps = { ...deps, owner: `${deps.owner}/fence/${deps.newId()}`, assertDriving }
    const { partitions } = await lookAtFlow(deps, flow, decision.topics)
    const decisionId = decision.id
    await concurrently(partitions, fencesInFlightMax, seen =>
      fencePartition(fenceDeps, flow, { seen, decisionId }),
    )
    return done
  },

  async proving(deps, flow, { decision }) {
    const { partitions, unobserved } = await lookAtFlow(deps, flow, decision.topics)
    const differences = await compareTails(deps, flow, partitions)
    return { problems: [...unobserved, ...differences] }
  },

  async granting(deps, flow, { decision }) {
    await deps.grantWrite?.(flow, decision.topics)
    return done
  },

  async reopening(deps, flow, { decision }) {
    const reopenDeps = { ...deps, owner: `${deps.owner}/reopen/${deps.newId()}` }
    const { checkpoints } = await deps.checkpoints.list(flow.name)
    const fenced = checkpoints.filter(
      ({ state }) => state.kind === 'failed-over' && state.decisionId === decision.id,
    )
    await concurrently(fenced, fencesInFlightMax, each => reopenPartition(reopenDeps, flow, each))
    return done
  },
}
