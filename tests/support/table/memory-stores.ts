// The stores of lib/io/table over a DynamoDB in memory, for tests of their callers. They pass the
// same contract as on DynamoDB Local (store-contract.ts).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type AnchorStore, createAnchorStore } from '../../../lib/io/anchors/anchor-store.ts'
import { createFailoverStore } from '../../../lib/io/failover/failover-store.ts'
import { createCheckpointStore } from '../../../lib/io/table/checkpoint-store.ts'
import { createIncidentStore } from '../../../lib/io/table/incident-store.ts'
import { createWorkerStore } from '../../../lib/io/table/worker-store.ts'
import type { StoresUnderTest } from '../contracts/store-contract.ts'
import { createMemoryDynamoDb } from './memory-dynamodb.ts'
import { createRows } from './memory-rows.ts'

export function createMemoryStores(): StoresUnderTest & { readonly anchors: AnchorStore } {
  const rows = createRows()
  return {
    ...createStoresOver(createMemoryDynamoDb(rows)),
    putRow: async row => rows.put(row),
  }
}

export function createStoresOver(
  client: DynamoDBClient,
): Omit<StoresUnderTest, 'putRow'> & { readonly anchors: AnchorStore } {
  return {
    checkpoints: createCheckpointStore(client, 'memory'),
    workers: createWorkerStore(client, 'memory'),
    incidents: createIncidentStore(client, 'memory'),
    anchors: createAnchorStore(client, 'memory'),
    failovers: createFailoverStore(client, 'memory'),
  }
}
