// Owns removing a consumer group from a cluster (DeleteGroups). Only a drill removes groups, and
// only the one that it made. Does not own the other requests about groups (group-admin.ts).

import { deleteGroupsV2, findCoordinatorV4 } from '@platformatic/kafka'
import { groupAttemptsMax, groupRetryMs } from '../../core/config/defaults.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { systemClock } from '../clock.ts'
import type { OpenedCluster } from '../cluster/cluster.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'

const GROUP_COORDINATOR = 0

type Cluster = Pick<OpenedCluster, 'name'> & {
  readonly brokers: Pick<OpenedCluster['brokers'], 'onAny' | 'onBroker'>
}

/** Throws `BrokerFailure` when the cluster does not answer, or refuses to remove the group. */
export async function removeGroup(
  { name: cluster, brokers }: Cluster,
  group: string,
): Promise<'removed' | 'missing'> {
  let error = 'NONE'
  for (let attempt = 0; attempt < groupAttemptsMax; attempt += 1) {
    if (attempt > 0) await systemClock.wait(groupRetryMs * attempt)
    const { coordinators } = await brokers.onAny(on =>
      findCoordinatorV4.api.async(on, GROUP_COORDINATOR, [group]),
    )
    const [found] = coordinators
    if (found === undefined || found.errorCode !== 0) {
      error = errorName(found?.errorCode ?? -1)
      continue
    }
    const { host, port } = found
    const { results } = await brokers.onBroker({ host, port }, on =>
      deleteGroupsV2.api.async(on, [group]),
    )
    error = errorName(results[0]?.errorCode ?? -1)
    if (error === 'NONE') return 'removed'
    if (error === 'GROUP_ID_NOT_FOUND') return 'missing'
    if (error === 'NON_EMPTY_GROUP' || error.endsWith('AUTHORIZATION_FAILED')) break
  }
  const reason = error.endsWith('AUTHORIZATION_FAILED') ? 'authorization-denied' : 'unreachable'
  const detail = `DeleteGroups of group ${group} answered ${error}`
  throw new BrokerFailure({ reason, cluster, detail })
}
