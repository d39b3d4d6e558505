// Owns the configs of a target that is padded: whether they allow it, and those that a compacted
// topic gets meanwhile. Does not own the order of the steps (pad.ts, hide.ts).
//
// DeleteRecords is refused without `delete` in cleanup.policy (Partition.deleteRecordsOnLeader).
// The policy belongs to the whole topic, whose other partitions may hold copied records, so
// retention is switched off in the same change. What the topic had before is in the checkpoint
// first: whoever owns the partition next sets it back. Where several partitions of a topic are
// padded, the first one to end sets the policy back under the others, which set it again: it ends
// as it was, because each partition that set it owes it. Sync leaves these configs alone meanwhile
// (follow/sync-configs.ts).

import {
  type ConfigsBefore,
  owedConfigs,
  type PaddingObstacle,
  paddedConfigs,
} from '../../core/offsets/padding.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { policiesOf } from '../../core/standby/topic-configs.ts'
import type { Alteration } from '../../io/admin/topic-admin.ts'
import type { TopicConfig } from '../../io/cluster/topic-config.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { decideFor, perform } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { type FillerForm, fillerForm } from './fillers.ts'

type ReadConfigs = Extract<TopicConfig, { kind: 'read' }>

const asked = [...paddedConfigs, 'compression.type', 'max.message.bytes']

/** Null: DescribeConfigs is denied. Throws `BrokerFailure` when the cluster does not answer. */
export async function readConfigs(
  { target }: Shard,
  { targetTopic }: PartitionRun,
): Promise<ReadConfigs | null> {
  const answer = (await target.readTopicConfigs?.([targetTopic], asked))?.get(targetTopic)
  if (answer?.kind === 'read') return answer
  if (target.readTopicConfigs === undefined) return null
  if (answer?.errorName?.endsWith('AUTHORIZATION_FAILED') === true) return null
  const detail = answer?.detail ?? `DescribeConfigs left out topic ${targetTopic}`
  throw new BrokerFailure({ reason: 'unreachable', cluster: target.name, detail })
}

/** The fillers that the topic takes, or why it takes none. */
export function formFor(shard: Shard, { values }: ReadConfigs): FillerForm | PaddingObstacle {
  const compression = values.get('compression.type')
  if (compression !== undefined && compression !== 'producer') return 'compression-type'
  const isKeyed = policiesOf(values.get('cleanup.policy')).has('compact')
  const bytesMax = Number(values.get('max.message.bytes') ?? Number.POSITIVE_INFINITY)
  return fillerForm(shard, isKeyed, bytesMax) ?? 'small-batches'
}

export function allowsDeletion({ values }: ReadConfigs): boolean {
  return policiesOf(values.get('cleanup.policy') ?? 'delete').has('delete')
}

/** False: the change is denied or refused, and nothing was changed. Throws `BrokerFailure`. */
export async function allowDeletion(
  shard: Shard,
  run: PartitionRun,
  configs: ReadConfigs,
): Promise<boolean> {
  if (owedConfigs(positionOf(run.state)?.padding) === null) {
    const own = (name: string) =>
      configs.own?.has(name) ? (configs.values.get(name) ?? null) : null
    const restores: ConfigsBefore = {
      'cleanup.policy': own('cleanup.policy'),
      'retention.ms': own('retention.ms'),
      'retention.bytes': own('retention.bytes'),
    }
    await perform(shard, run, decideFor(shard, run, { kind: 'padding-configs', restores }))
    if (run.phase.kind === 'stopped') return true
  }
  const refused = await alter(shard, run, {
    'cleanup.policy': 'compact,delete',
    'retention.ms': '-1',
    'retention.bytes': '-1',
  })
  if (refused === null) return true
  await perform(shard, run, decideFor(shard, run, { kind: 'padding-configs', restores: null }))
  return false
}

/** Gives the topic its own configs back, where this partition owes them. Throws `BrokerFailure`. */
export async function restoreConfigs(shard: Shard, run: PartitionRun): Promise<void> {
  const owed = owedConfigs(positionOf(run.state)?.padding)
  if (owed === null) return
  const refused = await alter(shard, run, owed)
  if (refused !== null) throw refused
  if (run.phase.kind === 'stopped') return
  await perform(shard, run, decideFor(shard, run, { kind: 'padding-configs', restores: null }))
}

/** Null: changed. */
async function alter(
  { openTargetAdmin, target }: Shard,
  { targetTopic: topic }: PartitionRun,
  wanted: ConfigsBefore,
): Promise<BrokerFailure | null> {
  const configs = paddedConfigs.map(config => ({ config, value: wanted[config] }))
  const outcome = await altered(openTargetAdmin, { topic, configs }, target.name)
  if (outcome.errorName === 'NONE') return null
  const denied = outcome.errorName.endsWith('AUTHORIZATION_FAILED')
  const reason = denied ? 'authorization-denied' : 'unreachable'
  const names = paddedConfigs.join(', ')
  const detail = `altering ${names} of standby topic ${topic} was answered with ${outcome.errorName}: ${outcome.detail}`
  return new BrokerFailure({ reason, cluster: target.name, detail })
}

async function altered(open: Shard['openTargetAdmin'], alteration: Alteration, cluster: string) {
  const { topic } = alteration
  const leftOut = { topic, errorName: 'UNKNOWN_SERVER_ERROR', detail: 'left out of the answer' }
  try {
    return (await open?.().alterConfigs([alteration]))?.[0] ?? leftOut
  } catch (error) {
    if (!(error instanceof ReplicatorError)) throw error
    throw new BrokerFailure({ reason: 'unreachable', cluster, detail: error.message, cause: error })
  }
}
