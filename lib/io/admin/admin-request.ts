// Owns what every administrative request shares: the cluster it goes to, how long it may take, what
// is sent again, and the error that an operator reads. Does not own any request (topic-admin.ts).

import { errorName } from '../../kafka/error-codes.ts'
import type { OpenedCluster } from '../cluster/cluster.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'
import { brokerRefusal, type ClusterFailure, clusterError } from '../failure/cluster-error.ts'

/** The functions of a cluster that administrative requests use. */
export type AdministeredCluster = Pick<
  OpenedCluster,
  'name' | 'describeTopics' | 'listOffsets' | 'bootstrap' | 'identity'
> & { readonly brokers: Pick<OpenedCluster['brokers'], 'onAny' | 'onController'> }

/**
 * How long the controller may take until it answers REQUEST_TIMED_OUT. Controllers answer in
 * milliseconds; below the default of `requestTimeoutMs`, so that the answer still arrives.
 */
export const operationTimeoutMs = 10_000

/** The result for each topic or resource of a request; every request here names one. */
export type RequestResult = {
  readonly errorCode: number
  readonly errorMessage?: string | null | undefined
}

/** Thrown within `attempt`, which names cluster and operation. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal'
  readonly failure: ClusterFailure

  /** `text`: the broker's own explanation, if it gave one. */
  constructor(error: string, text: string | null) {
    const failure = brokerRefusal(error, text)
    super(failure.detail)
    this.failure = failure
  }
}

/**
 * @throws ReplicatorError naming cluster and operation when the cluster refuses or does not answer.
 */
export async function attempt<T>(
  { name, bootstrap, identity }: AdministeredCluster,
  operation: string,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    const failure = failureOf(error)
    if (failure === null) throw error
    throw clusterError({
      failure,
      where: `Cluster ${name}`,
      operation,
      brokers: bootstrap,
      identity: identity(),
      cause: error,
    })
  }
}

function failureOf(error: unknown): ClusterFailure | null {
  if (error instanceof AdminRefusal) return error.failure
  if (!(error instanceof BrokerFailure)) return null
  const kind = error.reason === 'unreachable' ? 'unreachable' : 'denied'
  return { kind, errorName: null, detail: error.message }
}

/** The error of the only result, `NONE` or one of `expected`. Throws `AdminRefusal` for others. */
export function outcomeOf<Expected extends string = never>(
  results: readonly RequestResult[],
  ...expected: readonly Expected[]
): Expected | 'NONE' {
  const error = nameOf(results)
  const known = (['NONE', ...expected] as const).find(each => each === error)
  if (known === undefined) throw new AdminRefusal(error, results[0]?.errorMessage ?? null)
  return known
}

/**
 * How long to wait before the request is sent again; null: the response is final. From CreateTopics
 * v6, CreatePartitions v3 and DeleteTopics v5 on, the controller refuses what exceeds the
 * principal's quota and says how long to wait (KIP-599).
 */
export function retryAfterMs(
  results: readonly RequestResult[],
  throttleTimeMs: number,
): number | null {
  switch (nameOf(results)) {
    case 'NOT_CONTROLLER':
    case 'REQUEST_TIMED_OUT':
      return 0
    case 'THROTTLING_QUOTA_EXCEEDED':
      return throttleTimeMs
    default:
      return null
  }
}

function nameOf(results: readonly RequestResult[]): string {
  return errorName(results[0]?.errorCode ?? -1)
}
