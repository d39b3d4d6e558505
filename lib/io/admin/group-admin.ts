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
import { groupAttemptsMax, groupRetryMs, groupsPerRequestMax } from '../../core/config/defaults.ts'
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
  /** `errorName`: Kafka's, or why the coordinator did not answer. */
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
  const coordinators = createCoordinators(brokers)
  const readOnce = async (asked: readonly string[]): Promise<GroupOffsets[]> => {
    const { found, refused } = await coordinators.find(asked)
    const byBroker = Map.groupBy(found, ([, { host, port }]) => `${host}:${port}`)
    const answers = await Promise.all(
      [...byBroker.values()].map(each => readFrom(brokers, each, coordinators.forget)),
    )
    return [...refused, ...answers.flat()]
  }
  const readPart = async (groups: readonly string[]): Promise<GroupOffsets[]> => {
    const read = new Map<string, GroupOffsets>()
    let missing = groups
    for (let attempt = 0; missing.length > 0 && attempt < groupAttemptsMax; attempt += 1) {
      if (attempt > 0) await systemClock.wait(groupRetryMs * attempt)
      for (const each of await readOnce(missing)) read.set(each.group, each)
      missing = missing.filter(group => isPassing(read.get(group)))
      coordinators.forget(missing)
    }
    return groups.map(
      group =>
        read.get(group) ?? { group, kind: 'refused', errorName: 'COORDINATOR_NOT_AVAILABLE' },
    )
  }
  return {
    async listGroups() {
      const { answers, failures } = await brokers.onEvery(listGroups)
      return { groups: answers.flat(), failures }
    },
    async readOffsets(groups) {
      const read: GroupOffsets[] = []
      for (let from = 0; from < groups.length; from += groupsPerRequestMax) {
        read.push(...(await readPart(groups.slice(from, from + groupsPerRequestMax))))
      }
      return read
    },
    async commitOffsets(group, offsets) {
      const topics = topicsOf(offsets)
      let outcomes: CommitOutcome[] = []
      for (let attempt = 0; attempt < groupAttemptsMax; attempt += 1) {
        if (attempt > 0) await systemClock.wait(groupRetryMs * attempt)
        const { found, refused } = await coordinators.find([group])
        const at = found[0]?.[1]
        if (at === undefined) {
          outcomes = offsets.map(each => refusedOutcome(each, refused[0]?.errorName))
        } else {
          const response = await commitOn(brokers, at, { group, topics }).catch(error => {
            coordinators.forget([group])
            throw error
          })
          outcomes = response.topics.flatMap(({ name: topic, partitions }) =>
            partitions.map(each => outcomeOf(topic, each)),
          )
        }
        if (!outcomes.some(each => passingErrors.has(each.errorName))) return outcomes
        coordinators.forget([group])
      }
      if (outcomes.length > 0) return outcomes
      const detail = `no coordinator of group ${group} was found`
      throw new BrokerFailure({ reason: 'unreachable', cluster, detail })
    },
  }
}

type RefusedGroup = Extract<GroupOffsets, { kind: 'refused' }>
type FoundGroup = readonly [string, Address]

/** Which broker coordinates each group, remembered until a broker says otherwise. */
function createCoordinators(brokers: Cluster['brokers']) {
  const known = new Map<string, Address>()
  return {
    forget: (groups: readonly string[]) => {
      for (const each of groups) known.delete(each)
    },
    async find(groups: readonly string[]) {
      const refused: RefusedGroup[] = []
      const unknown = groups.filter(each => !known.has(each))
      if (unknown.length > 0) {
        const { coordinators } = await brokers.onAny(on =>
          findCoordinatorV4.api.async(on, GROUP_COORDINATOR, unknown),
        )
        for (const { key, host, port, errorCode } of coordinators) {
          if (errorCode === 0) known.set(key, { host, port })
          else refused.push({ group: key, kind: 'refused', errorName: errorName(errorCode) })
        }
      }
      const found = groups.flatMap((each): FoundGroup[] => {
        const at = known.get(each)
        return at === undefined ? [] : [[each, at]]
      })
      return { found, refused }
    },
  }
}

/** The groups of one coordinator. One that does not answer refuses its own groups and no other. */
async function readFrom(
  brokers: Cluster['brokers'],
  found: readonly FoundGroup[],
  forget: (groups: readonly string[]) => void,
): Promise<GroupOffsets[]> {
  const at = found[0]?.[1]
  if (at === undefined) return []
  // The library's type has no null, which asks for all topics (OffsetFetchRequest).
  const asked = found.map(([groupId]) => {
    return { groupId, memberEpoch: NO_GENERATION, topics: null as never }
  })
  try {
    const response = await brokers.onBroker(at, on => offsetFetchV8.api.async(on, asked, false))
    return response.groups.map(({ groupId: group, topics, errorCode }) => {
      const error = errorCode === 0 ? partitionError(topics) : errorCode
      return error === 0
        ? { group, kind: 'read', offsets: topics.flatMap(offsetsOf) }
        : { group, kind: 'refused', errorName: errorName(error) }
    })
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    const groups = found.map(([group]) => group)
    forget(groups)
    return groups.map(group => ({ group, kind: 'refused', errorName: error.message }))
  }
}

function commitOn(
  brokers: Cluster['brokers'],
  at: Address,
  { group, topics }: { readonly group: string; readonly topics: ReturnType<typeof topicsOf> },
) {
  return brokers.onBroker(at, on =>
    offsetCommitV8.api.async(on, group, NO_GENERATION, '', null, topics),
  )
}

function refusedOutcome(
  { topic, partition }: CommittedOffset,
  errorName = 'COORDINATOR_NOT_AVAILABLE',
): CommitOutcome {
  return { topic, partition, kind: 'refused', errorName }
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

/** An offset that cannot be read must not look like one that was never committed. */
function partitionError(topics: readonly FetchedTopic[]): number {
  const partitions = topics.flatMap(each => each.partitions)
  return partitions.find(each => each.errorCode !== 0)?.errorCode ?? 0
}

/** A partition without a committed offset is left out. */
function offsetsOf({ name: topic, partitions }: FetchedTopic): CommittedOffset[] {
  return partitions
    .filter(each => each.committedOffset >= 0n)
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
