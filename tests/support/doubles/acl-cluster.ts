// A cluster's ACLs in memory behind the interface of their administration, and a process that dies
// at a chosen request to it or to the table, before or after the request was performed.

import { type Acl, aclKey } from '../../../lib/core/acl.ts'
import type { AclAdmin, AclOutcome } from '../../../lib/io/admin/acl-admin.ts'
import type { Serving } from '../table/memory-dynamodb.ts'

export class Died extends Error {
  override readonly name = 'Died'
}

export type Death = {
  /** Performs a request, or dies there. */
  at<T>(perform: () => T): T
  /** How many requests there were. */
  readonly count: () => number
}

/** Dies at the request with this number, counted from 0, before or after it was performed. */
export function dieAt(number: number, when: 'before' | 'after'): Death {
  let count = 0
  return {
    at(perform) {
      const isHere = count === number
      count += 1
      if (isHere && when === 'before') throw new Died('before the request')
      const answer = perform()
      if (isHere) throw new Died('after the request')
      return answer
    },
    count: () => count,
  }
}

export function servingUntil(death: () => Death): Serving {
  return async (_, serve) => death().at(serve)
}

/** `acls` is what the cluster holds; `death` is asked at every request. */
export function createAclDouble(acls: Map<string, Acl>, death: () => Death): AclAdmin {
  const done = (acl: Acl): AclOutcome => ({ acl, errorName: 'NONE', detail: null })
  return {
    list: async () =>
      death().at(() => ({ kind: 'listed' as const, topics: [...acls.values()], others: {} })),
    create: async some =>
      death().at(() => {
        for (const acl of some) acls.set(aclKey(acl), acl)
        return some.map(done)
      }),
    remove: async some =>
      death().at(() => {
        for (const acl of some) acls.delete(aclKey(acl))
        return some.map(done)
      }),
    mayWrite: async () => death().at(() => true),
  }
}
