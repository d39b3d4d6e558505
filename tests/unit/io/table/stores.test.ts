// The contract of the stores, tested on the memory double.

import { storeContract } from '../../../support/contracts/store-contract.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'

storeContract(async () => createMemoryStores())
