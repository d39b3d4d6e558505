import { afterEach, expect, test, vi } from 'vitest'
import { leaseMs, t0 } from '../../support/contracts/lease-actions.ts'
import { partitionKey } from '../../support/contracts/store-examples.ts'
import { createMemoryStores } from '../../support/table/memory-stores.ts'

vi.mock('node:os', async original => {
  return { ...(await original<typeof import('node:os')>()), hostname: () => 'same-host' }
})

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** The first owner of a process, as a container names it: every one of them has pid 1. */
async function ownerOfContainer(): Promise<string> {
  vi.resetModules()
  const { newOwner } = await import('../../../lib/run/open-flow.ts')
  return newOwner()
}

test('of two containers with equal host names, process ids and times only one acquires a lease', async () => {
  vi.useFakeTimers({ now: t0 })
  vi.spyOn(process, 'pid', 'get').mockReturnValue(1)
  const { checkpoints } = createMemoryStores()
  const acquire = async () => {
    const owner = await ownerOfContainer()
    const key = partitionKey()
    return checkpoints.acquire({ key, targetTopic: 'primary.a', owner, nowMs: t0, leaseMs })
  }
  const answers = [await acquire(), await acquire()]
  expect(answers.map(each => each.kind)).toEqual(['acquired', 'held'])
})

test('the name of an owner begins with its host, its process and its time, for the person who reads a lease', async () => {
  vi.useFakeTimers({ now: t0 })
  expect(await ownerOfContainer()).toMatch(
    new RegExp(`^same-host/${process.pid}/${t0}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
  )
})
