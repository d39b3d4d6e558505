// Owns the questions about what no ACL says of a principal: whose SCRAM credentials a cluster has,
// and which client quotas. Neither is ever changed: a password cannot be read from Kafka. Does not
// own ACLs (acl-admin.ts).

import { describeClientQuotasV1, describeUserScramCredentialsV0 } from '@platformatic/kafka'
import { errorName } from '../../kafka/error-codes.ts'
import type { OpenedCluster } from '../cluster/cluster.ts'

export type Listing<T> =
  | { readonly kind: 'listed'; readonly values: readonly T[] }
  | { readonly kind: 'refused'; readonly errorName: string }

/** Every function throws `BrokerFailure` when the cluster does not answer. */
export type PrincipalAdmin = {
  /** The names of the users with SCRAM credentials. */
  scramUsers(): Promise<Listing<string>>
  /** One text for each quota of each entity: `user=orders producer_byte_rate=1000`. */
  quotas(): Promise<Listing<string>>
}

type Cluster = { readonly brokers: Pick<OpenedCluster['brokers'], 'onAny'> }

export function createPrincipalAdmin({ brokers }: Cluster): PrincipalAdmin {
  return {
    async scramUsers() {
      // Null: all users.
      const answer = await brokers.onAny(on => describeUserScramCredentialsV0.api.async(on, null))
      return listing(answer.errorCode, () => answer.results.map(each => each.user))
    },
    async quotas() {
      const answer = await brokers.onAny(on => describeClientQuotasV1.api.async(on, [], false))
      return listing(answer.errorCode, () =>
        (answer.entries ?? []).flatMap(({ entity, values }) => {
          const who = entity.map(each => `${each.entityType}=${each.entityName ?? 'default'}`)
          return values.map(({ key, value }) => `${who.sort().join(' ')} ${key}=${value}`)
        }),
      )
    },
  }
}

function listing<T>(code: number, values: () => readonly T[]): Listing<T> {
  if (code !== 0) return { kind: 'refused', errorName: errorName(code) }
  return { kind: 'listed', values: values() }
}
