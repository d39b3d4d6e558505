// The steps about ACLs, killed at every request to the standby and to the table, before and after
// it was performed, and called again: what is right stands in the end, and the ACLs of others stay.

import { expect, test } from 'vitest'
import { type Acl, type AclEntry, aclKey, aclText } from '../../../../lib/core/acl.ts'
import { neverFailedOver } from '../../../../lib/core/row/failover-row.ts'
import { createAclStore } from '../../../../lib/io/sync/acl-store.ts'
import { type SyncAclsDeps, syncAcls } from '../../../../lib/run/follow/sync-acls.ts'
import { grantWithheld, withholdAgain } from '../../../../lib/run/follow/withheld-acls.ts'
import type { FollowedTopics } from '../../../../lib/run/observe/followed-topics.ts'
import {
  createAclDouble,
  type Death,
  Died,
  dieAt,
  servingUntil,
} from '../../../support/doubles/acl-cluster.ts'
import { createMemoryDynamoDb } from '../../../support/table/memory-dynamodb.ts'
import { createRows } from '../../../support/table/memory-rows.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

const flow = flowOf({ topics: ['orders', 'payments'], sync: { acls: 'copy' } })
const never = () => dieAt(-1, 'before')

const entry: AclEntry = { permission: 'ALLOW', operation: 'ALL', principal: 'User:app', host: '*' }
const on = (name: string, fields: Partial<Acl> = {}): Acl => {
  return { ...entry, pattern: 'LITERAL', name, ...fields }
}
/** Somebody else made these; one of them is also what the source has. */
const foreign = [
  on('primary.orders', { operation: 'READ', principal: 'User:other' }),
  on('primary.orders', { operation: 'DESCRIBE' }),
]

/** Both topics exist, and nothing is doubtful. */
const found: FollowedTopics = {
  ...{ followed: [], waiting: [], recreated: [], known: [], leftAlone: [], failures: [] },
  ...{ isKnownSource: true, targets: new Map() },
  existing: new Map(
    ['orders', 'payments'].map(name => [
      name,
      { kind: 'exists', name, topicId: name, isInternal: false, partitions: [] },
    ]),
  ),
  listed: {
    ...{ checkpoints: [], corrupt: [], unnamed: [], workers: [], roster: 0, corruptWorkers: [] },
    failover: neverFailedOver,
  },
}

function world(sourceAcls: readonly Acl[]) {
  const rows = createRows()
  const standby = new Map(foreign.map(each => [aclKey(each), each]))
  let death: Death = never()
  let source = sourceAcls
  const nobody = async () => ({ kind: 'listed' as const, values: [] })
  const principals = { scramUsers: nobody, quotas: nobody }
  const deps = {
    source: { name: 'primary' },
    target: { name: 'standby', principal: () => 'User:gapless' },
    sourceAcls: { list: async () => ({ kind: 'listed', topics: source, others: {} }) },
    targetAcls: createAclDouble(standby, () => death),
    acls: createAclStore(
      createMemoryDynamoDb(
        rows,
        servingUntil(() => death),
      ),
      'memory',
    ),
    ...{ sourcePrincipals: principals, targetPrincipals: principals },
    clock: { nowMs: () => 1, wait: async () => undefined },
  } as unknown as SyncAclsDeps
  return {
    deps,
    texts: () => [...standby.values()].map(aclText).sort(),
    sourceHas(acls: readonly Acl[]) {
      source = acls
    },
    /** Runs `work` until it dies, then once more to its end; false: it did not die. */
    async killed(number: number, when: 'before' | 'after', work: () => Promise<unknown>) {
      death = dieAt(number, when)
      const died = await work().then(
        () => false,
        error => {
          if (!(error instanceof Died) && !(error.cause instanceof Died)) throw error
          return true
        },
      )
      death = never()
      if (died) await work()
      return died
    },
  }
}

/** Every death of a piece of work, each in a world of its own. */
async function everyDeath(
  check: (number: number, when: 'before' | 'after') => Promise<boolean>,
): Promise<number> {
  let deaths = 0
  for (const when of ['before', 'after'] as const) {
    for (let number = 0; await check(number, when); number += 1) deaths += 1
  }
  return deaths
}

const ofSource = [on('orders'), on('payments', { operation: 'READ' })]
const foreignTexts = foreign.map(aclText)

test('a tick that dies anywhere is made up for by the next one, and what others made is theirs for ever', async () => {
  const whole = world(ofSource)
  await syncAcls(whole.deps, flow, found)
  const expected = whole.texts()
  expect(expected).toContain('ALLOW READ for User:app from * on topic primary.orders')
  expect(expected.filter(each => each.includes('WRITE'))).toEqual([])
  const deaths = await everyDeath(async (number, when) => {
    const one = world(ofSource)
    const died = await one.killed(number, when, () => syncAcls(one.deps, flow, found))
    expect(one.texts()).toEqual(expected)
    // The source has other ACLs now: those of gapless go, and no other.
    one.sourceHas([on('orders', { operation: 'READ', principal: 'User:new' })])
    await syncAcls(one.deps, flow, found)
    const left = 'ALLOW READ for User:new from * on topic primary.orders'
    expect(one.texts()).toEqual([...foreignTexts, left].sort())
    return died
  })
  expect(deaths).toBeGreaterThan(8)
})

test('a tick that dies while it removes ACLs leaves none behind', async () => {
  const deaths = await everyDeath(async (number, when) => {
    const one = world(ofSource)
    await syncAcls(one.deps, flow, found)
    one.sourceHas([on('unrelated')])
    const died = await one.killed(number, when, () => syncAcls(one.deps, flow, found))
    expect(one.texts()).toEqual([...foreignTexts].sort())
    return died
  })
  expect(deaths).toBeGreaterThan(4)
})

test('granting and withholding again die anywhere, and end as if they had not', async () => {
  const granted = 'ALLOW WRITE for User:app from * on topic primary.orders'
  const deaths = await everyDeath(async (number, when) => {
    const one = world(ofSource)
    await syncAcls(one.deps, flow, found)
    const before = one.texts()
    const diedGranting = await one.killed(number, when, () =>
      grantWithheld(one.deps, flow, ['orders']),
    )
    expect(one.texts()).toEqual([...before, granted].sort())
    const diedWithholding = await one.killed(number, when, () =>
      withholdAgain(one.deps, flow, ['orders']),
    )
    expect(one.texts()).toEqual(before)
    return diedGranting || diedWithholding
  })
  expect(deaths).toBeGreaterThan(4)
})

test('without a stored right there is nothing to grant, and the standby is not asked', async () => {
  const one = world([])
  const none = { granted: [], present: [], refused: [] }
  expect(await grantWithheld(one.deps, flow, ['orders'])).toEqual(none)
})
