// Owns checkpoints and leases in DynamoDB. Every write is one conditional UpdateItem of one row;
// taking a partition from a worker takes two, the first of them in the worker's row, once.
// Does not own what the attributes mean (core/row/checkpoint.ts) nor what is retried
// (dynamodb-client.ts).
//
// The SDK sends a write again when its response was lost, so a write that is applied twice must
// mean the same as one:
//
//   acquire   The second one finds a live lease that is our own and returns it as acquired. The row
//             says how the first one found the lease (previousLeaseUntilMs, previousWorker).
//   save      The second one finds our fence and writes the same again. If the first one released
//             the lease and another owner acquired it before the second, the outcome is
//             `lease-lost` although the state is stored; the new owner has read it.
//   late      A save that arrives after a newer one of the same owner is refused, because the row's
//             `writes` is higher by then.

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { assert } from '../../core/assert.ts'
import { acquireAttemptsMax } from '../../core/config/defaults.ts'
import { leaseBelievedUntilMs } from '../../core/replicate/budget.ts'
import {
  type Checkpoint,
  checkpointKey,
  type ListedCheckpoints,
  type PartitionKey,
  readCheckpoint,
  readCheckpoints,
  stateAttributes,
} from '../../core/row/checkpoint.ts'
import {
  isUnderWorker,
  leaseDatedAheadMs,
  leaseUnderWorker,
  leaseWasFree,
  readLeaseHolder,
  wasTakenFromWorker,
} from '../../core/row/lease.ts'
import { type Row, rowChange, type StoredRow, textAttribute } from '../../core/row/row.ts'
import { readWorkers, workerKey } from '../../core/row/worker-row.ts'
import type { Acquisition, CheckpointStore, LeaseOf } from './stores.ts'
import {
  getRow,
  listRows,
  type TableTarget,
  type UpdateOutcome,
  updateRow,
} from './table-request.ts'
import { namesOf, updateExpression, valuesOf } from './update-expression.ts'
import { createWorkerEnds, type WorkerEnds } from './worker-ends.ts'

type StoreTarget = TableTarget & { readonly ends: WorkerEnds }

export function createCheckpointStore(client: DynamoDBClient, table: string): CheckpointStore {
  const target = { client, table, ends: createWorkerEnds({ client, table }) }
  return {
    list: flow => listCheckpoints(target, flow),
    get: key => getCheckpoint(target, key),
    acquire: input => acquireLease(target, input),
    save: input => saveCheckpoint(target, input),
    leave: input => leaveCheckpoint(target, input),
  }
}

/** Checkpoints and the rows of workers: one Query has both. */
const listPrefix = 'checkpoint'

async function listCheckpoints(target: TableTarget, flow: string): Promise<ListedCheckpoints> {
  const purpose = `listing the checkpoints of flow ${flow}`
  return readCheckpoints(await listRows(target, purpose, { flow, prefix: listPrefix }))
}

async function getCheckpoint(target: TableTarget, key: PartitionKey): Promise<Checkpoint | null> {
  const purpose = `reading the checkpoint of ${nameOf(key)}`
  const row = await getRow(target, purpose, checkpointKey(key))
  if (row === null) return null
  const checkpoint = readCheckpoint(row)
  if (!isUnderWorker(row) || checkpoint.lease.untilMs === null) return checkpoint
  const { lease } = checkpoint
  const worker = { flow: key.flow, worker: lease.owner }
  const workerRow = await getRow(target, purpose, workerKey(worker))
  // A row that cannot be read proves no life.
  const { workers } = readWorkers(workerRow === null ? [] : [workerRow])
  return { ...checkpoint, lease: leaseUnderWorker(lease, workers[0] ?? null) }
}

type AcquireInput = Parameters<CheckpointStore['acquire']>[0]

/**
 * Takes the lease in up to three steps. A lease that is free or has expired is taken by the first
 * write. Where a worker holds the partition, its end is looked at or declared in the worker's row,
 * and the partition is then taken from exactly the owner that was seen.
 */
async function acquireLease(
  target: StoreTarget,
  input: AcquireInput,
): ReturnType<CheckpointStore['acquire']> {
  const { key, nowMs, leaseMs } = input
  assert(nowMs > 0 && leaseMs > 0, `lease of ${leaseMs} ms from ${nowMs}`)
  let seen = await takeIfOver(target, input)
  for (let attempt = 1; ; attempt += 1) {
    const { row } = seen
    assert(row !== null, 'DynamoDB refused a lease without the row that holds it')
    if (seen.kind === 'updated' || isOurs(row, input)) return acquired(row, nowMs)
    const holder = readLeaseHolder(row)
    // A row that changes in every attempt has an owner that is busy with it.
    const held = { kind: 'held', owner: holder.owner, untilMs: holder.untilMs ?? nowMs } as const
    if (holder.untilMs !== null && !isUnderWorker(row)) return { ...held, lease: 'own' }
    if (attempt === acquireAttemptsMax) return { ...held, lease: 'worker' }
    if (holder.untilMs === null) {
      seen = await takeIfOver(target, input)
      continue
    }
    const end = await target.ends.look({ flow: key.flow, worker: holder.owner }, nowMs)
    if (end.kind === 'live') return { ...held, untilMs: end.untilMs, lease: 'worker' }
    seen = await takeFromEnded(target, input, row)
  }
}

function acquired(row: StoredRow, nowMs: number): Acquisition {
  const datedAheadMs = leaseDatedAheadMs(row, nowMs)
  return {
    kind: 'acquired',
    checkpoint: readCheckpoint(row),
    cleanHandOver: leaseWasFree(row),
    ...(datedAheadMs === null ? {} : { datedAheadMs }),
    ...(wasTakenFromWorker(row) ? { tookFromWorker: true } : {}),
  }
}

/**
 * Owners are unique to a run, so a lease that is ours in the same form is that of a write whose
 * response was lost. A partition that was left to a lease of its own is in another form.
 */
function isOurs(row: StoredRow, { owner, lease }: AcquireInput): boolean {
  const { owner: holder, untilMs } = readLeaseHolder(row)
  const worker = lease === 'worker' ? owner : undefined
  return untilMs !== null && holder === owner && row.worker?.S === worker
}

/** Step 1: a lease that was released, or one of the partition's own that is over. */
function takeIfOver(target: TableTarget, input: AcquireInput): Promise<UpdateOutcome> {
  const { nowMs, leaseMs } = input
  return take(target, input, {
    previousWorker: null,
    // The condition is also true when there is no row. See isUnderWorker for the second line.
    expression:
      'attribute_not_exists(#leaseUntilMs) OR (' +
      '(attribute_not_exists(#worker) OR #worker <> #owner OR #fencing = :none) AND ' +
      '(#leaseUntilMs <= :nowMs OR #leaseUntilMs > :believedUntilMs))',
    names: ['leaseUntilMs', 'worker', 'owner', 'fencing'],
    values: {
      none: { S: 'none' },
      nowMs: { N: String(nowMs) },
      believedUntilMs: { N: String(leaseBelievedUntilMs(nowMs, { leaseMs })) },
    },
  })
}

/** Step 3: from the owner of the row that was seen, whose worker has ended. */
function takeFromEnded(
  target: TableTarget,
  input: AcquireInput,
  seen: StoredRow,
): Promise<UpdateOutcome> {
  const { fence } = readCheckpoint(seen).lease
  const { owner } = readLeaseHolder(seen)
  return take(target, input, {
    previousWorker: owner,
    // The fence alone would do, if no operator had ever deleted the row: a new one begins at 1.
    expression: '#fence = :seenFence AND #owner = :seenOwner AND attribute_exists(#leaseUntilMs)',
    names: ['fence', 'owner', 'leaseUntilMs'],
    values: { seenFence: { N: String(fence) }, seenOwner: { S: owner } },
  })
}

type Taking = {
  /** The worker that has ended and from which the partition is taken. */
  readonly previousWorker: string | null
  readonly expression: string
  readonly names: readonly string[]
  readonly values: Row
}

function take(
  target: TableTarget,
  { key, targetTopic, owner, nowMs, leaseMs, lease }: AcquireInput,
  { previousWorker, ...condition }: Taking,
): Promise<UpdateOutcome> {
  const { present, absent } = rowChange({
    owner: { S: owner },
    leaseUntilMs: { N: String(nowMs + leaseMs) },
    targetTopic: { S: targetTopic },
    updatedAtMs: { N: String(nowMs) },
    writes: { N: '0' },
    worker: lease === 'worker' ? { S: owner } : null,
    previousWorker: textAttribute(previousWorker),
  })
  const update = updateExpression({ set: present, setIfAbsent: { state: { S: 'unstarted' } } })
  // DynamoDB evaluates the right sides against the row before the update: previousLeaseUntilMs
  // becomes the previous leaseUntilMs.
  const previous = '#previousLeaseUntilMs = if_not_exists(#leaseUntilMs, :free)'
  const remove = absent.map(name => `#${name}`).join(', ')
  return updateRow(target, `taking the lease of ${nameOf(key)}`, {
    Key: checkpointKey(key),
    UpdateExpression:
      `${update.UpdateExpression}, ${previous} ADD #fence :one` +
      (remove === '' ? '' : ` REMOVE ${remove}`),
    ConditionExpression: condition.expression,
    ExpressionAttributeNames: {
      ...update.ExpressionAttributeNames,
      ...namesOf(['previousLeaseUntilMs', 'fence', ...absent, ...condition.names]),
    },
    ExpressionAttributeValues: {
      ...update.ExpressionAttributeValues,
      ...valuesOf({ free: { N: '0' }, one: { N: '1' } }),
      ...valuesOf(condition.values),
    },
    ReturnValues: 'ALL_NEW',
  })
}

async function leaveCheckpoint(
  target: TableTarget,
  { key, fence }: LeaseOf,
): ReturnType<CheckpointStore['leave']> {
  const update = updateExpression({ remove: ['worker'] })
  const outcome = await updateRow(target, `leaving ${nameOf(key)} to a lease of its own`, {
    Key: checkpointKey(key),
    UpdateExpression: update.UpdateExpression,
    ConditionExpression: '#fence = :fence',
    ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...namesOf(['fence']) },
    ExpressionAttributeValues: valuesOf({ fence: { N: String(fence) } }),
  })
  return outcome.kind === 'updated' ? 'left' : 'lease-lost'
}

async function saveCheckpoint(
  target: TableTarget,
  { key, fence, write, state, nowMs, lease }: Parameters<CheckpointStore['save']>[0],
): ReturnType<CheckpointStore['save']> {
  const { present, absent } = stateAttributes(state)
  const renewed: Row = lease.kind === 'renew' ? { leaseUntilMs: { N: String(lease.untilMs) } } : {}
  const update = updateExpression({
    set: {
      ...present,
      ...renewed,
      updatedAtMs: { N: String(nowMs) },
      writes: { N: String(write) },
    },
    remove: lease.kind === 'release' ? [...absent, 'leaseUntilMs'] : absent,
  })
  const outcome = await updateRow(target, `saving the checkpoint of ${nameOf(key)}`, {
    ...update,
    Key: checkpointKey(key),
    // The fence grows with every acquisition, so one fence is one owner. The condition leaves out
    // the expiry: a lease that ran out and that no other owner acquired is still ours.
    ConditionExpression: '#fence = :fence AND #writes <= :write',
    ExpressionAttributeNames: {
      ...update.ExpressionAttributeNames,
      ...namesOf(['fence', 'writes']),
    },
    ExpressionAttributeValues: {
      ...update.ExpressionAttributeValues,
      ...valuesOf({ fence: { N: String(fence) }, write: { N: String(write) } }),
    },
  })
  return outcome.kind === 'updated' ? 'saved' : 'lease-lost'
}

function nameOf({ flow, topic, partition }: PartitionKey): string {
  return `${topic}-${partition} (flow ${flow})`
}
