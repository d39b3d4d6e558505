// The contract on the cluster in memory, which the tests of the loops and the simulation use.

import { describe } from 'vitest'
import { sharedProducerContract } from '../../support/contracts/shared-producer-contract.ts'
import { createFakeCluster } from '../../support/doubles/fake-cluster.ts'
import { createVirtualClock } from '../../support/doubles/virtual-clock.ts'

describe('the cluster in memory', () =>
  sharedProducerContract(async name => {
    const cluster = createFakeCluster({ name: 'standby', clock: createVirtualClock() })
    cluster.createTopic(name)
    return {
      cluster,
      topic: name,
      addPartition: async request => cluster.coordinator.addPartition(request).kind,
    }
  }))
