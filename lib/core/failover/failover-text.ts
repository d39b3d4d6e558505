// Owns the sentences about the state of a flow between its two clusters, which a tick logs and the
// status shows. Does not own the states (flow-failover.ts).

import { type Decision, type FlowFailover, type Topics, topicsAway } from './flow-failover.ts'

/** Unix time in ms as ISO 8601; the caller's, because lib/core knows no clock. */
export type IsoTime = (atMs: number) => string

/** `all topics`, or their names. */
export function topicsText(topics: Topics): string {
  if (topics === null) return 'all topics'
  return topics.length === 1 ? `topic ${topics[0]}` : `topics ${topics.join(', ')}`
}

/** One sentence where the flow is anything but active; with the command to run next. */
export function failoverTexts(
  flow: string,
  { state }: { readonly state: FlowFailover },
  iso: IsoTime,
): readonly string[] {
  switch (state.kind) {
    case 'active':
      return []
    case 'failing-over':
      return [
        `flow ${flow} is failing over, step ${state.step}: ${decidedText(state.decision, iso)}. Nothing of ` +
          `${topicsText(topicsAway(state))} is copied meanwhile. If that command has ended, run it again: gapless ` +
          `failover --flow ${flow} --${state.decision.how}`,
      ]
    case 'failed-over':
      return [
        `flow ${flow} has failed over (${topicsText(state.topics)}): ${decidedText(state.decision, iso)}. Applications ` +
          `write to the standby, and nothing is copied there. To come back: gapless failback --flow ${flow}`,
      ]
    case 'failing-back':
      return [
        `flow ${flow} is failing back, step ${state.step}: ${decidedText(state.decision, iso)}. To go on: gapless ` +
          `failback --flow ${flow}`,
      ]
  }
}

/** Who decided, how, and since when. */
export function decidedText({ how, by, atMs }: Decision, iso: IsoTime): string {
  return `${how}, decided by ${by} at ${iso(atMs)}`
}
