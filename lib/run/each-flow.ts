// Owns the work of one tick for all flows: side by side, each with its own deadline, so that a flow
// that fails or hangs keeps no other one from its turn. Does not own what is done for a flow.

import type { FlowConfig } from '../core/config/config.ts'
import { flowsInFlightMax, tickMsMax } from '../core/config/defaults.ts'
import { flowMsMax } from '../core/replicate/budget.ts'
import type { Clock } from '../io/clock.ts'
import { concurrently } from './concurrently.ts'
import { settledWithin } from './settled-within.ts'

export type FlowOutcome<T> =
  | { readonly kind: 'done'; readonly flow: FlowConfig; readonly value: T }
  | { readonly kind: 'failed'; readonly flow: FlowConfig; readonly error: unknown }

/** Ends a piece of work for this flow at its deadline; see `withinMs`. */
export type InTime = <T>(work: Promise<T>) => Promise<T>

/**
 * Calls `work` for every flow, at most `flowsInFlightMax` at once, and returns what became of each
 * in the order of `flows`. Never rejects. A flow gets its part of `tickMsMax`; `work` passes what
 * must end by then to `inTime`.
 */
export async function eachFlow<T>(
  flows: readonly FlowConfig[],
  clock: Clock,
  work: (flow: FlowConfig, inTime: InTime) => Promise<T>,
): Promise<readonly FlowOutcome<T>[]> {
  const msMax = flowMsMax({ flows: flows.length, flowsInFlightMax, tickMsMax })
  return sideBySide(flows, flowsInFlightMax, flow => {
    const inTime: InTime = each => withinMs(clock, { flow: flow.name, msMax }, each)
    return work(flow, inTime)
  })
}

/** As `eachFlow`, without deadlines. */
export async function sideBySide<T>(
  flows: readonly FlowConfig[],
  inFlightMax: number,
  work: (flow: FlowConfig) => Promise<T>,
): Promise<readonly FlowOutcome<T>[]> {
  const outcomes = new Map<FlowConfig, FlowOutcome<T>>()
  await concurrently(flows, inFlightMax, async flow => {
    try {
      outcomes.set(flow, { kind: 'done', flow, value: await work(flow) })
    } catch (error) {
      outcomes.set(flow, { kind: 'failed', flow, error })
    }
  })
  return flows.flatMap(flow => outcomes.get(flow) ?? [])
}

/**
 * Rejects when `work` has not ended after `msMax`. The work itself goes on until its own time-outs
 * end it; its result, or a later failure, is no longer asked for.
 */
async function withinMs<T>(
  clock: Clock,
  { flow, msMax }: { readonly flow: string; readonly msMax: number },
  work: Promise<T>,
): Promise<T> {
  const settled = await settledWithin(clock, msMax, work)
  if (settled.kind === 'done') return settled.value
  if (settled.kind === 'failed') throw settled.error
  const seconds = Math.round(msMax / 1000)
  throw new Error(
    `not done after ${seconds} s, its part of the tick; a cluster or the table answers slowly or ` +
      `not at all. See: gapless status --flow ${flow}`,
  )
}
