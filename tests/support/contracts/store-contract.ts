// What every implementation of the stores must hold. Run on memory
// (tests/unit/io/table/stores.test.ts) and on a real DynamoDB (tests/integration/stores.test.ts),
// so that tests on memory prove something about DynamoDB.

import { describe } from 'vitest'
import type { Row } from '../../../lib/core/row/row.ts'
import type { CheckpointStore, IncidentStore } from '../../../lib/io/table/stores.ts'
import { checkpointContract } from './checkpoint-contract.ts'
import { incidentContract } from './incident-contract.ts'
import { leaseContract } from './lease-contract.ts'

export type StoresUnderTest = {
  checkpoints: CheckpointStore
  incidents: IncidentStore
  /** Puts a row in place of what is there, whatever it holds. */
  putRow(row: Row): Promise<void>
}

/** `create` gives stores that hold nothing. */
export function storeContract(create: () => Promise<StoresUnderTest>): void {
  describe('leases', () => leaseContract(create))
  describe('checkpoints', () => checkpointContract(create))
  describe('incidents', () => incidentContract(create))
}
