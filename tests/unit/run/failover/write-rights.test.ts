// The right of applications to write, around a fail-over: granted for the topics that move, taken
// back before they return, and a refusal stops the command with what to do.

import { expect, test } from 'vitest'
import type { Acl } from '../../../../lib/core/acl.ts'
import type { LogLine } from '../../../../lib/core/monitoring/incident-lines.ts'
import type { AclAdmin } from '../../../../lib/io/admin/acl-admin.ts'
import { createAclStore } from '../../../../lib/io/sync/acl-store.ts'
import {
  grantWriting,
  type RightsDeps,
  withholdWriting,
} from '../../../../lib/run/failover/write-rights.ts'
import { createAclDouble, dieAt } from '../../../support/doubles/acl-cluster.ts'
import { createMemoryDynamoDb } from '../../../support/table/memory-dynamodb.ts'
import { createRows } from '../../../support/table/memory-rows.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

const flow = flowOf({ topics: ['orders', 'payments'], sync: { acls: 'copy' } })
const write = (name: string): Acl => ({
  ...{ permission: 'ALLOW', operation: 'WRITE', principal: 'User:app', host: '*' },
  ...{ pattern: 'LITERAL', name },
})

/** A standby whose answer to every change of an ACL is this error; NONE: it is done. */
async function world(errorName = 'NONE') {
  const there = new Map<string, Acl>()
  const lines: LogLine[] = []
  const acls = createAclStore(createMemoryDynamoDb(createRows()), 'memory')
  await acls.add(flow.name, 'aclWithheld', ['primary.orders', 'primary.payments'].map(write), 1)
  const double = createAclDouble(there, () => dieAt(-1, 'before'))
  const refuses: AclAdmin['create'] = async some =>
    some.map(acl => ({ acl, errorName, detail: null }))
  const listed = { checkpoints: [{ topic: 'orders' }, { topic: 'payments' }], corrupt: [] }
  const deps = {
    targetAcls: errorName === 'NONE' ? double : { ...double, create: refuses, remove: refuses },
    acls,
    clock: { nowMs: () => 2 },
    checkpoints: { list: async () => listed },
    log: (line: LogLine) => lines.push(line),
  } as unknown as RightsDeps
  return { deps, lines, names: () => [...there.values()].map(each => each.name).sort() }
}

test('the right to write is granted for the topics that move, and taken back before they return', async () => {
  const { deps, names, lines } = await world()
  await grantWriting(deps, flow, ['orders'])
  expect(names()).toEqual(['primary.orders'])
  await grantWriting(deps, flow, null)
  expect(names()).toEqual(['primary.orders', 'primary.payments'])
  expect(lines[0]?.text).toBe(
    'Flow flow: granted ALLOW WRITE for User:app from * on topic primary.orders on standby.',
  )

  await withholdWriting(deps, flow, ['payments'])
  expect(names()).toEqual(['primary.orders'])
  await withholdWriting(deps, flow, null)
  expect(names()).toEqual([])
})

test('a right that the standby refuses to change stops the command, and names what to do', async () => {
  const { deps } = await world('CLUSTER_AUTHORIZATION_FAILED')
  const granting = grantWriting(deps, flow, null)
  await expect(granting).rejects.toThrow(
    'standby refuses to change ALLOW WRITE for User:app from * on topic primary.orders, and 1 more',
  )
  await expect(granting).rejects.toMatchObject({
    hint: 'Change it with kafka-acls.sh, or grant gapless Alter on the cluster, and run gapless failover again',
  })
})
