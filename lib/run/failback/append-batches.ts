// Owns appending batches to partition 0 of a topic on the standby, one after the other, each once
// and acknowledged by all in-sync replicas: a batch whose answer was lost is sent again under the
// same sequence. Does not own which records these are (export-topic.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { observationAttemptsMax, retryBackoffMs } from '../../core/config/defaults.ts'
import { sequenceAfter } from '../../core/partition/partition-state.ts'
import { backoffMs } from '../../core/replicate/budget.ts'
import { dispositionOf } from '../../core/replicate/error-disposition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { type BatchOwner, stampForProduce } from '../../kafka/produce-stamp.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { untilNotBusy } from '../busy-coordinator.ts'
import type { LookDeps } from '../failover/look.ts'
import { type LogView, observeLogs } from '../observe/logs.ts'

type Deps = Pick<LookDeps, 'target' | 'clock'>

/**
 * Opens a producer. `append` resolves when all in-sync replicas have the batch; `what` names its
 * records in an error. Both throw `BrokerFailure` when the standby refuses or does not answer.
 */
export async function openAppender(deps: Deps, flow: FlowConfig, topic: string) {
  let owner = await assignOwner(deps)
  return {
    async append(batch: RecordBatch, what: string): Promise<void> {
      await produce(deps, flow, { topic, records: stampForProduce(batch, owner), what })
      const baseSequence = sequenceAfter(owner.baseSequence, batch.recordsCount)
      owner = { ...owner, baseSequence }
    },
  }
}

/** Sequences keep a batch that is sent again from being appended twice (KIP-98). */
async function assignOwner(deps: Deps): Promise<BatchOwner> {
  const answer = await untilNotBusy(deps, () => deps.target.initProducerId(null))
  if (answer.kind === 'assigned') {
    const { producerId, producerEpoch } = answer
    return { producerId, producerEpoch, baseSequence: 0 }
  }
  const detail = `no producer id: ${answer.errorName}`
  throw new BrokerFailure({ reason: 'authorization-denied', cluster: deps.target.name, detail })
}

async function produce(
  deps: Deps,
  flow: FlowConfig,
  {
    topic,
    records,
    what,
  }: { readonly topic: string; readonly records: Buffer; readonly what: string },
): Promise<void> {
  const { target, clock } = deps
  for (let attempt = 0; ; attempt += 1) {
    const answer = await produceOnce(deps, flow, { topic, records })
    if (answer === null) return
    if (!answer.mayTryAgain || attempt >= observationAttemptsMax) {
      const detail = `${what} could not be written to topic ${topic}: ${answer.detail}`
      throw new BrokerFailure({ reason: answer.reason, cluster: target.name, detail })
    }
    await clock.wait(backoffMs(attempt, retryBackoffMs))
  }
}

type Refused = {
  readonly mayTryAgain: boolean
  readonly reason: BrokerFailure['reason']
  readonly detail: string
}

/** Null: the batch is acknowledged. */
async function produceOnce(
  deps: Deps,
  { budgets }: FlowConfig,
  { topic, records }: { readonly topic: string; readonly records: Buffer },
): Promise<Refused | null> {
  const view = await look(deps, topic)
  const reason = 'unreachable' as const
  if (view.kind !== 'seen') {
    const detail = view.kind === 'missing' ? 'it is gone' : view.detail
    return { mayTryAgain: true, reason, detail }
  }
  try {
    const { partitions } = await deps.target.produce(view.leader.leaderId, {
      ...{ acks: -1, timeoutMs: budgets.requestTimeoutMs },
      topics: [{ name: topic, partitions: [{ partition: 0, records }] }],
    })
    const [answer] = partitions
    const error = errorName(answer?.errorCode ?? -1)
    if (error === 'NONE') return null
    const disposition = dispositionOf('produce', error)
    const text = answer?.errorMessage ?? null
    return {
      mayTryAgain: disposition === 'observe',
      reason: disposition === 'denied' ? 'authorization-denied' : reason,
      detail: text === null ? error : `${error}: ${text}`,
    }
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    return { mayTryAgain: true, reason: error.reason, detail: error.message }
  }
}

async function look({ target }: Deps, topic: string): Promise<LogView> {
  const at = { topic, partition: 0 }
  return (await observeLogs(target, [at], [])).of(at)
}
