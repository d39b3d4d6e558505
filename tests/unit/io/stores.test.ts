// The stores' contract on the double in memory.

import { createMemoryStores } from '../../support/memory-stores.ts'
import { storeContract } from '../../support/store-contract.ts'

storeContract(async () => createMemoryStores())
