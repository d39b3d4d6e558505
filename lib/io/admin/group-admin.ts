// Owns the requests about consumer groups: which there are, which offsets they have committed, and
// committing offsets for a group that has no members. All groups of a coordinator go into one
// request. Does not own which offsets are committed (core/sync).
//
// The offsets of a group are committed as a consumer that assigns its partitions by hand does it:
// without a member, generation -1 (OffsetCommit v8, GroupMetadataManager.validateOffsetCommit). The
// coordinator refuses that for a group with members, so no running consumer is moved. The leader
// epoch is always -1: an epoch of another cluster makes Java consumers wait for ever
// (OffsetsForLeaderEpochClient finds no such epoch).

import {
  apiVersionsV3,
  type Connection,
  findCoordinatorV4,
  listGroupsV3,
  listGroupsV5,
  offsetCommitV8,
  offsetFetchV8,
} from '@platformatic/kafka'
import { groupAttemptsMax, groupRetryMs } from '../../core/config/defaults.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { systemClock } from '../clock.ts'
import type { OpenedCluster } from '../cluster/cluster.ts'
import type { Address } from '../cluster/connection.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'

/**
 * A group. Its type is `classic`, `consumer` (KIP-848), `share` or `streams`; a broker before Kafka
 * 3.8 tells neither type nor state: `unknown`.
 */
export type ListedGroup = {
  readonly group: string
  readonly type: string
  readonly protocolType: string
  readonly state: string
}

export type GroupListing = {
  readonly groups: readonly ListedGroup[]
  /** Brokers that did not answer: the groups that they coordinate are missing from the list. */
  readonly failures: readonly BrokerFailure[]
}

export type CommittedOffset = {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly metadata: string | null
}

export type GroupOffsets =
  | { readonly group: string; readonly kind: 'read'; readonly offsets: readonly CommittedOffset[] }
  | { readonly group: string; readonly kind: 'refused'; readonly errorName: string }

export type CommitOutcome = {
  readonly topic: string
  readonly partition: number
  /** `active`: the group has members, which alone may commit. */
  readonly kind: 'committed' | 'active' | 'refused'
  readonly errorName: string
}

/** Every function throws `BrokerFailure` when the cluster does not answer. */
export type GroupAdmin = {
  listGroups(): Promise<GroupListing>
  /** The offsets of all topics, in the order of `groups`; pending transactional ones left out. */
  readOffsets(groups: readonly string[]): Promise<GroupOffsets[]>
  commitOffsets(group: string, offsets: readonly CommittedOffset[]): Promise<CommitOutcome[]>
}

const GROUP_COORDINATOR = 0
const LIST_GROUPS_KEY = 16
/** ListGroups v5 (Kafka 3.8, KIP-848) tells the type of a group. */
const TYPED_LIST_GROUPS = 5
const UNKNOWN = 'unknown'
const NO_GENERATION = -1
const NO_EPOCH = -1

const passingErrors: ReadonlySet<string> = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'REQUEST_TIMED_OUT',
])

/** A member is needed where there are members; share groups have no offsets to commit. */
const activeErrors: ReadonlySet<string> = new Set([
  'UNKNOWN_MEMBER_ID',
  'ILLEGAL_GENERATION',
  'STALE_MEMBER_EPOCH',
  'NON_EMPTY_GROUP',
])

type Cluster = Pick<OpenedCluster, 'name'> & {
  readonly brokers: Pick<OpenedCluster['brokers'], 'onAny' | 'onEvery' | 'onBroker'>
}

export function createGroupAdmin({ name: cluster, brokers }: Cluster): GroupAdmin {
  const coordinatorsOf = async (groups: readonly string[]): Promise<Map<string, Address>> => {
    const { coordinators } = await brokers.onAny(on =>
      findCoordinatorV4.api.async(on, GROUP_COORDINATOR, [...groups]),
    )
    const found = new Map<string, Address>()
    for (const { key, host, port, errorCode } of coordinators) {
      if (errorCode === 0) found.set(key, { host, port })
      else if (!passingErrors.has(errorName(errorCode))) throw refused(errorName(errorCode))
    }
    return found
  }
  const refused = (error: string): BrokerFailure => {
    const isDenied = error.endsWith('AUTHORIZATION_FAILED')
    const reason = isDenied ? 'authorization-denied' : 'unreachable'
    return new BrokerFailure({ reason, cluster, detail: `the group coordinator answered ${error}` })
  }
  /** The groups of one coordinator. */
  const readFrom = async (found: readonly (readonly [string, Address])[]) => {
    const at = found[0]?.[1]
    if (at === undefined) return []
    // The library's type has no null, which asks for all topics (OffsetFetchRequest).
    const asked = found.map(([groupId]) => ({
      groupId,
      memberEpoch: NO_GENERATION,
      topics: null as never,
    }))
    const response = await brokers.onBroker(at, on => offsetFetchV8.api.async(on, asked, false))
    return response.groups.map(
      ({ groupId: group, topics, errorCode }): GroupOffsets =>
        errorCode === 0
          ? { group, kind: 'read', offsets: topics.flatMap(offsetsOf) }
          : { group, kind: 'refused', errorName: errorName(errorCode) },
    )
  }
  return {
    async listGroups() {
      const { answers, failures } = await brokers.onEvery(listGroups)
      return { groups: answers.flat(), failures }
    },
    async readOffsets(groups) {
      const read = new Map<string, GroupOffsets>()
      let missing = [...new Set(groups)]
      for (let attempt = 0; missing.length > 0 && attempt < groupAttemptsMax; attempt += 1) {
        if (attempt > 0) await systemClock.wait(groupRetryMs * attempt)
        const coordinators = await coordinatorsOf(missing)
        const byBroker = Map.groupBy(coordinators, ([, { host, port }]) => `${host}:${port}`)
        const answers = await Promise.all([...byBroker.values()].map(each => readFrom(each)))
        for (const each of answers.flat()) read.set(each.group, each)
        missing = missing.filter(group => isPassing(read.get(group)))
      }
      return groups.map(
        group =>
          read.get(group) ?? { group, kind: 'refused', errorName: 'COORDINATOR_NOT_AVAILABLE' },
      )
    },
    async commitOffsets(group, offsets) {
      const topics = topicsOf(offsets)
      let outcomes: CommitOutcome[] = []
      for (let attempt = 0; attempt < groupAttemptsMax; attempt += 1) {
        if (attempt > 0) await systemClock.wait(groupRetryMs * attempt)
        const at = (await coordinatorsOf([group])).get(group)
        if (at === undefined) continue
        const response = await brokers.onBroker(at, on =>
          offsetCommitV8.api.async(on, group, NO_GENERATION, '', null, topics),
        )
        outcomes = response.topics.flatMap(({ name: topic, partitions }) =>
          partitions.map(each => outcomeOf(topic, each)),
        )
        if (!outcomes.some(each => passingErrors.has(each.errorName))) return outcomes
      }
      if (outcomes.length > 0) return outcomes
      throw refused('COORDINATOR_NOT_AVAILABLE')
    },
  }
}

/** A broker closes the connection at a version that it does not know, so it is asked first. */
async function listGroups(on: Connection): Promise<ListedGroup[]> {
  const { apiKeys } = await apiVersionsV3.api.async(on, 'gapless', '1')
  const version = apiKeys.find(each => each.apiKey === LIST_GROUPS_KEY)?.maxVersion ?? 0
  if (version < TYPED_LIST_GROUPS) {
    const { groups } = await listGroupsV3.api.async(on, [], [])
    return groups.map(({ groupId: group, protocolType }) => {
      return { group, type: UNKNOWN, protocolType, state: UNKNOWN }
    })
  }
  const { groups } = await listGroupsV5.api.async(on, [], [])
  return groups.map(({ groupId: group, groupType, protocolType, groupState: state }) => {
    return { group, type: groupType.toLowerCase(), protocolType, state }
  })
}

type FetchedTopic = {
  readonly name: string
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly committedOffset: bigint
    readonly metadata?: string | null | undefined
    readonly errorCode: number
  }[]
}

/** A partition without a committed offset, or whose offset cannot be read, is left out. */
function offsetsOf({ name: topic, partitions }: FetchedTopic): CommittedOffset[] {
  return partitions
    .filter(each => each.errorCode === 0 && each.committedOffset >= 0n)
    .map(({ partitionIndex: partition, committedOffset: offset, metadata }) => {
      return { topic, partition, offset, metadata: metadata ?? null }
    })
}

function topicsOf(offsets: readonly CommittedOffset[]) {
  return [...Map.groupBy(offsets, each => each.topic)].map(([name, each]) => ({
    name,
    partitions: each.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: NO_EPOCH,
      committedMetadata: metadata ?? '',
    })),
  }))
}

function outcomeOf(
  topic: string,
  at: { readonly partitionIndex: number; readonly errorCode: number },
): CommitOutcome {
  const error = errorName(at.errorCode)
  const isActive = activeErrors.has(error)
  const kind = at.errorCode === 0 ? 'committed' : isActive ? 'active' : 'refused'
  return { topic, partition: at.partitionIndex, kind, errorName: error }
}

function isPassing(offsets: GroupOffsets | undefined): boolean {
  return (
    offsets === undefined || (offsets.kind === 'refused' && passingErrors.has(offsets.errorName))
  )
}
