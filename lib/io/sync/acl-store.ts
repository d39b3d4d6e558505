// Owns the rows about ACLs in DynamoDB: adding to a set and removing from it are atomic, so that of
// two ticks at once none undoes the other. Does not own what the sets mean (core/row/acl-row.ts).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Acl, AclResource } from '../../core/acl.ts'
import { resourceKey } from '../../core/acl.ts'
import {
  type AclRow,
  type AclSet,
  aclPrefix,
  aclRowKey,
  readAclRow,
  setText,
} from '../../core/row/acl-row.ts'
import type { Row } from '../../core/row/row.ts'
import { listRows, type TableTarget, updateRow } from '../table/table-request.ts'

export type AclStore = {
  /** Throws `CorruptRowError` where a row is in another form: its ACLs are not known then. */
  list(flow: string): Promise<AclRow[]>
  add(flow: string, set: AclSet, acls: readonly Acl[], nowMs: number): Promise<void>
  remove(flow: string, set: AclSet, acls: readonly Acl[], nowMs: number): Promise<void>
}

export function createAclStore(client: DynamoDBClient, table: string): AclStore {
  const target = { client, table }
  return {
    async list(flow) {
      const rows = await listRows(target, `listing the ACLs of flow ${flow}`, {
        flow,
        prefix: aclPrefix,
      })
      return rows.map(readAclRow)
    },
    add: (flow, set, acls, nowMs) => change(target, 'ADD', { flow, set, acls, nowMs }),
    remove: (flow, set, acls, nowMs) => change(target, 'DELETE', { flow, set, acls, nowMs }),
  }
}

/** One update of each resource; applied twice it means the same. */
async function change(
  target: TableTarget,
  operation: 'ADD' | 'DELETE',
  input: {
    readonly flow: string
    readonly set: AclSet
    readonly acls: readonly Acl[]
    readonly nowMs: number
  },
): Promise<void> {
  const { flow, set, acls, nowMs } = input
  for (const [, each] of Map.groupBy(acls, resourceKey)) {
    const resource: AclResource | undefined = each[0]
    if (resource === undefined) continue
    const values: Row = {
      ':entries': { SS: setText(each) },
      ':nowMs': { N: String(nowMs) },
    }
    const purpose = `storing ACLs of ${resource.name} of flow ${flow}`
    await updateRow(target, purpose, {
      Key: aclRowKey(flow, resource),
      UpdateExpression: `SET #aclWrittenAtMs = :nowMs ${operation} #set :entries`,
      ExpressionAttributeNames: { '#set': set, '#aclWrittenAtMs': 'aclWrittenAtMs' },
      ExpressionAttributeValues: values,
    })
  }
}
