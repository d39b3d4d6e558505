// The contract on memory: on the stores that other tests use, and on the stores of lib/io/table over
// a DynamoDB in memory, which the exploration and the simulation use.

import { describe } from 'vitest'
import { createCheckpointStore } from '../../../../lib/io/table/checkpoint-store.ts'
import { createIncidentStore } from '../../../../lib/io/table/incident-store.ts'
import { createWorkerStore } from '../../../../lib/io/table/worker-store.ts'
import { storeContract } from '../../../support/contracts/store-contract.ts'
import { createMemoryDynamoDb } from '../../../support/table/memory-dynamodb.ts'
import { createMemoryStores, createRows } from '../../../support/table/memory-stores.ts'

describe('stores in memory', () => storeContract(async () => createMemoryStores()))

describe('the stores on a DynamoDB in memory', () =>
  storeContract(async () => {
    const rows = createRows()
    const client = createMemoryDynamoDb(rows)
    return {
      checkpoints: createCheckpointStore(client, 'memory'),
      workers: createWorkerStore(client, 'memory'),
      incidents: createIncidentStore(client, 'memory'),
      putRow: async row => rows.put(row),
    }
  }))
