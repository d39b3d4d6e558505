// Faults of a target broker, as a plan: one for each Produce request in order of arrival. The
// broker handles the requests of its one connection one after the other, as a real broker does
// (SocketServer mutes the channel), so it handles a batch that was sent behind a refused one after
// it has answered the refusal.

import type { Clock } from '../../../lib/io/clock.ts'
import type { ErrorName } from '../../../lib/kafka/error-codes.ts'
import { errorCode } from '../../../lib/kafka/error-codes.ts'
import { type Control, connectionLost, refuseProduce } from './fake-cluster.ts'

export type ProduceFault =
  | { readonly kind: 'none' }
  | { readonly kind: 'slow'; readonly ms: number }
  /** Refused before anything was appended. */
  | { readonly kind: 'refused'; readonly error: ErrorName }
  /** Appended, but answered with an error: the in-sync replicas were too few or too slow. */
  | { readonly kind: 'appended-and-refused'; readonly error: ErrorName }
  /** The connection broke before the broker read the request. */
  | { readonly kind: 'lost' }
  /** Appended, but the connection broke before the answer. */
  | { readonly kind: 'answer-lost' }

export type PlannedFaults = {
  readonly control: Control<'produce'>
  /** Requests without an answer: now, and the highest number so far. */
  readonly inFlight: { now: number; max: number }
  /** The requests in order of arrival. */
  readonly requests: Parameters<Control<'produce'>>[2][]
}

const LATENCY_MS = 2

/** Requests beyond the end of the plan are served after `LATENCY_MS`. */
export function planFaults(clock: Clock, plan: readonly ProduceFault[]): PlannedFaults {
  const inFlight = { now: 0, max: 0 }
  const requests: PlannedFaults['requests'] = []
  const connections = new Map<number, Promise<unknown>>()
  let arrived = 0

  const handle: Control<'produce'> = async (serve, leaderId, request) => {
    const fault = plan[arrived] ?? { kind: 'none' }
    arrived += 1
    await clock.wait(LATENCY_MS)
    switch (fault.kind) {
      case 'none':
        return serve(leaderId, request)
      case 'slow': {
        const answer = await serve(leaderId, request)
        await clock.wait(fault.ms)
        return answer
      }
      case 'refused':
        return refuseProduce(request, fault.error)
      case 'appended-and-refused': {
        const { partitions } = await serve(leaderId, request)
        const code = errorCode[fault.error]
        const hidden = partitions.map(each => {
          return each.errorCode === 0 ? { ...each, errorCode: code, baseOffset: null } : each
        })
        return { throttleTimeMs: 0, partitions: hidden }
      }
      case 'lost':
        throw connectionLost('standby')
      case 'answer-lost':
        await serve(leaderId, request)
        throw connectionLost('standby')
    }
  }
  return {
    inFlight,
    requests,
    control: (serve, leaderId, request) => {
      // Reads the bytes only now: the sender must not change a request that is under way.
      requests.push(structuredClone(request))
      inFlight.now += 1
      inFlight.max = Math.max(inFlight.max, inFlight.now)
      const before = connections.get(leaderId) ?? Promise.resolve()
      const answer = before.then(() => handle(serve, leaderId, request))
      connections.set(
        leaderId,
        answer.catch(() => undefined),
      )
      return answer.finally(() => {
        inFlight.now -= 1
      })
    },
  }
}
