// Owns the ways in which a cluster fails to answer at all, told apart from what a broker
// answers: an error code of a partition is a value, this is not knowing. Unknown is never
// reported as healthy, nor as lag 0.

import { AuthenticationError } from '@platformatic/kafka'

export type UnobservedReason = 'unreachable' | 'authorization-denied'

/** A cluster, or one broker of it, that did not answer. Thrown by cluster.ts. */
export class BrokerFailure extends Error {
  override readonly name = 'BrokerFailure'
  readonly reason: UnobservedReason
  readonly cluster: string

  constructor(input: {
    reason: UnobservedReason
    cluster: string
    detail: string
    cause?: unknown
  }) {
    super(input.detail, { cause: input.cause })
    this.reason = input.reason
    this.cluster = input.cluster
  }
}

/** What the client library threw, as a failure of this broker. */
export function brokerFailure(cluster: string, address: string, error: unknown): BrokerFailure {
  if (error instanceof BrokerFailure) return error
  const reason = isAuthentication(error) ? 'authorization-denied' : 'unreachable'
  return new BrokerFailure({
    reason,
    cluster,
    detail: `broker ${address}: ${innermostText(error)}`,
    cause: error,
  })
}

function causesOf(error: unknown): unknown[] {
  const chain: unknown[] = []
  // Bounded: a cause may, in principle, be its own cause.
  for (let at = error; at instanceof Error && chain.length < 10; at = at.cause) chain.push(at)
  return chain
}

function isAuthentication(error: unknown): boolean {
  return causesOf(error).some(cause => cause instanceof AuthenticationError)
}

/** The deepest cause says what happened ("connect ECONNREFUSED …"); the outer ones only where. */
function innermostText(error: unknown): string {
  const last = causesOf(error).at(-1)
  if (!(last instanceof Error)) return String(error)
  const code = 'code' in last && typeof last.code === 'string' ? last.code : ''
  return last.message || code || last.name
}
