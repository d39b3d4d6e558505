// The contract of every implementation of the stores. Run on memory
// (tests/unit/io/table/stores.test.ts) and on a real DynamoDB (tests/integration/stores.test.ts),
// so that tests on memory prove something about DynamoDB.

import { describe } from 'vitest'
import type { Row } from '../../../lib/core/row/row.ts'
import type { FailoverStore } from '../../../lib/io/failover/failover-store.ts'
import type { CheckpointStore, IncidentStore, WorkerStore } from '../../../lib/io/table/stores.ts'
import { checkpointContract } from './checkpoint-contract.ts'
import { failoverContract } from './failover-contract.ts'
import { incidentContract } from './incident-contract.ts'
import { leaseContract } from './lease-contract.ts'
import { workerContract } from './worker-contract.ts'
import { workerLeaseContract } from './worker-lease-contract.ts'

export type StoresUnderTest = {
  checkpoints: CheckpointStore
  workers: WorkerStore
  incidents: IncidentStore
  failovers: FailoverStore
  /** Replaces the stored row, without any check of its contents. */
  putRow(row: Row): Promise<void>
}

/** `create` returns empty stores. */
export function storeContract(create: () => Promise<StoresUnderTest>): void {
  describe('leases', () => leaseContract(create))
  describe('checkpoints', () => checkpointContract(create))
  describe('workers', () => workerContract(create))
  describe('partitions of workers', () => workerLeaseContract(create))
  describe('fail-overs', () => failoverContract(create))
  describe('incidents', () => incidentContract(create))
}
