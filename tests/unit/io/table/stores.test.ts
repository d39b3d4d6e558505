// The contract on the stores over a DynamoDB in memory, which the tests of their callers use.

import { describe } from 'vitest'
import { storeContract } from '../../../support/contracts/store-contract.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'

describe('the stores on a DynamoDB in memory', () =>
  storeContract(async () => createMemoryStores()))
