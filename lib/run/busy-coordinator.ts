// Owns asking a transaction coordinator again while it is busy: it loads its state, or still ends
// the transaction of the previous owner of a partition. Does not own the requests
// (io/cluster/transaction-coordinator.ts) nor who may send them (recover/producer-identity.ts).

import { observationAttemptsMax, retryBackoffMs } from '../core/config/defaults.ts'
import { backoffMs } from '../core/replicate/budget.ts'
import type { Clock } from '../io/clock.ts'
import type { Cluster } from '../io/cluster/cluster.ts'
import type { NotYet } from '../io/cluster/transaction-coordinator.ts'
import { BrokerFailure } from '../io/failure/broker-failure.ts'

type Busy = { readonly kind: 'busy' }

/**
 * The first answer of `ask` that is not `busy`. Throws `BrokerFailure` when the coordinator is
 * still busy after `observationAttemptsMax` more attempts.
 */
export async function untilNotBusy<T extends { readonly kind: string } | null>(
  { clock, target }: { readonly clock: Clock; readonly target: Pick<Cluster, 'name'> },
  ask: () => Promise<T | NotYet>,
  signal?: AbortSignal,
): Promise<Exclude<T | NotYet, Busy>> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await ask()
    if (answer?.kind !== 'busy') return answer as Exclude<typeof answer, Busy>
    if (attempt >= observationAttemptsMax) {
      const error = 'errorName' in answer ? answer.errorName : 'busy'
      const detail = `the transaction coordinator still answers ${error} after ${attempt + 1} attempts`
      throw new BrokerFailure({ reason: 'unreachable', cluster: target.name, detail })
    }
    await clock.wait(backoffMs(attempt, retryBackoffMs), signal)
  }
}
