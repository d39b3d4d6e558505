// Owns the proof that source and target are two clusters. One cluster on both sides would copy its
// topics into itself: with prefixes a chain of copies of copies, with `identity` a topic that grows
// by its own recovery markers. Does not own which topics are copies (core/config).

import type { FlowConfig } from '../../core/config/config.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'

type Identified = Pick<Cluster, 'name' | 'clusterId'>

/**
 * Compares the cluster ids of both sides. Returns a warning where one of them states none; a
 * cluster that does not answer is reported by whoever observes it.
 * @throws ReplicatorError (`one-cluster`) where both are one cluster.
 */
export async function assertTwoClusters(
  { source, target }: { readonly source: Identified; readonly target: Identified },
  flow: FlowConfig,
): Promise<string[]> {
  const [from, to] = await Promise.all([clusterIdOf(source), clusterIdOf(target)])
  if (typeof from === 'string' && from === to) {
    throw new ReplicatorError({
      code: 'one-cluster',
      message:
        `Flow ${flow.name}: clusters ${source.name} and ${target.name} are one cluster (cluster id ${from}): ` +
        'it would copy its topics into itself, again and again.',
      hint: `Correct brokers of cluster ${source.name} or ${target.name} in the configuration.`,
    })
  }
  return [
    { cluster: source, id: from },
    { cluster: target, id: to },
  ].flatMap(({ cluster, id }) =>
    id === null
      ? [
          `cluster ${cluster.name} states no cluster id, so it is not known that ${source.name} and ` +
            `${target.name} are two clusters: check that their brokers are`,
        ]
      : [],
  )
}

/** Null: the cluster states none. Undefined: it did not answer, or is no cluster on a network. */
async function clusterIdOf(cluster: Identified): Promise<string | null | undefined> {
  try {
    return await cluster.clusterId?.()
  } catch (error) {
    if (error instanceof BrokerFailure) return undefined
    throw error
  }
}
