// The stores' contract on the double in memory.

import { storeContract } from '../../../support/contracts/store-contract.ts'
import { createMemoryStores } from '../../../support/doubles/memory-stores.ts'

storeContract(async () => createMemoryStores())
