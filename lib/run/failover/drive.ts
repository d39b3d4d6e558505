// Owns which command carries out a decision: one at a time, which says so every few seconds. A
// command that finds another one alive is refused; one that finds a killed one goes on where that
// one stopped. The time only keeps two operators from working against each other: what a frozen
// command does when it wakes is refused by versions, leases and epochs. Does not own the steps
// (failover-steps.ts).

import { driverLeaseMs } from '../../core/config/failover-limits.ts'
import { errorText } from '../../core/error-text.ts'
import { decidedText, topicsText } from '../../core/failover/failover-text.ts'
import { topicsAway } from '../../core/failover/flow-failover.ts'
import { afterEvent, type FailoverEvent } from '../../core/failover/transition.ts'
import type { StoredFailover } from '../../core/row/failover-row.ts'
import type { Clock } from '../../io/clock.ts'
import type { FailoverStore } from '../../io/failover/failover-store.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { Log } from '../../io/log.ts'
import { isoTime } from '../iso-time.ts'

export type DriveDeps = {
  readonly failovers: FailoverStore
  readonly clock: Clock
  readonly log: Log
  /** User, host and process of this command, unique to it. */
  readonly by: string
}

export type Driving = {
  /** Stores the state behind the event. Throws when another command has moved the flow. */
  advance(from: StoredFailover, event: FailoverEvent): Promise<StoredFailover>
  /** Throws when another command carries out the decision, or has carried it out. */
  assertDriving(): Promise<void>
}

/** Carries a decision out for as long as `work` lasts. */
export async function whileDriving<T>(
  deps: DriveDeps,
  flow: string,
  work: (driving: Driving) => Promise<T>,
): Promise<T> {
  const ended = new AbortController()
  // Not awaited: a renewal that the table does not answer must not delay the end of the command.
  void keepSaying(deps, flow, ended.signal)
  const driving: Driving = {
    async advance(from, event) {
      const state = afterEvent(from.state, event)
      if (state === null) throw refuseOvertaken(flow, from)
      const nowMs = deps.clock.nowMs()
      const moved = await deps.failovers.move({
        ...{ flow, from: from.version, state, nowMs },
        driver: { name: deps.by, untilMs: nowMs + driverLeaseMs },
      })
      if (moved.kind === 'moved') return moved.stored
      throw refuseOvertaken(flow, moved.stored)
    },
    async assertDriving() {
      const stored = await deps.failovers.read(flow)
      if (stored.driver?.name !== deps.by) throw refuseOvertaken(flow, stored)
    },
  }
  try {
    return await work(driving)
  } finally {
    ended.abort()
  }
}

async function keepSaying(deps: DriveDeps, flow: string, ended: AbortSignal): Promise<void> {
  const { failovers, clock, log, by } = deps
  while (!ended.aborted) {
    await clock.wait(Math.floor(driverLeaseMs / 3), ended)
    if (ended.aborted) return
    try {
      const driver = { name: by, untilMs: clock.nowMs() + driverLeaseMs }
      // Refused before the decision, when there is no row, and once another command goes on: the
      // next step of this one is refused too then.
      await failovers.renew({ flow, driver })
    } catch (error) {
      if (ended.aborted) return
      const text = `It could not be stored that the fail-over of flow ${flow} goes on: ${errorText(error)}. It is tried again.`
      log({ level: 'warn', text })
    }
  }
}

/**
 * Takes a decision that is not carried out to its end. Waits while the command that last did may
 * still live. Throws `ReplicatorError` when it does.
 */
export async function takeDecision(
  deps: DriveDeps,
  flow: string,
  found: StoredFailover,
): Promise<StoredFailover> {
  const { failovers, clock, log, by } = deps
  let stored = found
  const waitMs = (stored.driver?.untilMs ?? 0) - clock.nowMs()
  // A time that lies further ahead was written by a wrong clock.
  if (stored.driver?.name !== by && waitMs > 0 && waitMs <= driverLeaseMs * 2) {
    const seconds = Math.ceil(waitMs / 1000)
    const text = `Flow ${flow} is ${stored.state.kind} by ${stored.driver?.name}. Looking for ${seconds} s whether that command still runs.`
    log({ level: 'info', text })
    await clock.wait(waitMs)
    stored = await failovers.read(flow)
    if (stored.driver?.untilMs !== found.driver?.untilMs) throw refuseOvertaken(flow, stored)
  }
  const driver = { name: by, untilMs: clock.nowMs() + driverLeaseMs }
  if ((await failovers.drive({ flow, seen: stored, driver })) === 'driving') return stored
  throw refuseOvertaken(flow, await failovers.read(flow))
}

/** The second operator is told who decided, what, and since when. */
export function refuseOvertaken(flow: string, { state, driver }: StoredFailover): ReplicatorError {
  const who = 'decision' in state ? `: ${decidedText(state.decision, isoTime)}` : ''
  const what = state.kind === 'active' ? '' : ` (${topicsText(topicsAway(state))})`
  const now = driver === null ? '' : `; carried out by ${driver.name}`
  return new ReplicatorError({
    code: 'failover-refused',
    message: `Flow ${flow} is ${state.kind}${what}${who}${now}`,
    hint: `See how far it is: gapless status --flow ${flow}`,
  })
}
