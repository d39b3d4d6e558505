// The contract on memory: on the stores that most tests use, and on the stores of lib/io/table over
// a DynamoDB in memory, which the exploration and the simulation use.

import { describe } from 'vitest'
import { storeContract } from '../../../support/contracts/store-contract.ts'
import { createMemoryDynamoDb, createStoresOver } from '../../../support/table/memory-dynamodb.ts'
import { createMemoryStores, createRows } from '../../../support/table/memory-stores.ts'

describe('stores in memory', () => storeContract(async () => createMemoryStores()))

describe('the stores on a DynamoDB in memory', () =>
  storeContract(async () => {
    const rows = createRows()
    return {
      ...createStoresOver(createMemoryDynamoDb(rows)),
      putRow: async row => rows.put(row),
    }
  }))
