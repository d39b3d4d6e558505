// Owns what gapless did about the ACLs of one resource of the standby, as a row of the table. Does
// not own what they mean (core/sync/acl-plan.ts), nor the requests (io/sync/acl-store.ts).
//
//   pk            the flow                      sk            acl/<LITERAL|PREFIXED>/<name>
//   aclCopied     a set: the ACLs that gapless created, and removes once they are not wanted
//   aclWithheld   a set: the ACLs of the source that wait for a fail-over
//   aclGranted    a set: the withheld ones that a fail-over created
//   aclWrittenAtMs  when the row was written
//
// An entry is the JSON of [permission, operation, principal, host]. A set is absent where it is
// empty. No attribute but pk and sk has the name of a checkpoint's.

import { type Acl, type AclEntry, type AclResource, entryText, readEntryText } from '../acl.ts'
import { type Row, type RowReader, rowReader, type StoredRow } from './row.ts'

export const aclPrefix = 'acl/'

export const aclSets = ['aclCopied', 'aclWithheld', 'aclGranted'] as const
export type AclSet = (typeof aclSets)[number]

export type AclRow = AclResource & Readonly<Record<AclSet, readonly AclEntry[]>>

/** Kafka's names of topics, and `*`, hold no slash. */
export function aclRowKey(flow: string, { pattern, name }: AclResource): Row {
  return { pk: { S: flow }, sk: { S: `${aclPrefix}${pattern}/${name}` } }
}

/** Throws `CorruptRowError` that names the row and the attribute. */
export function readAclRow(row: StoredRow): AclRow {
  const read = rowReader(row)
  const [, pattern, name] = /^acl\/(LITERAL|PREFIXED)\/(.*)$/.exec(read.text('sk')) ?? []
  if ((pattern !== 'LITERAL' && pattern !== 'PREFIXED') || name === undefined) {
    throw read.corrupt('sk', 'acl/<LITERAL|PREFIXED>/<name>')
  }
  return {
    pattern,
    name,
    aclCopied: readSet(read, 'aclCopied'),
    aclWithheld: readSet(read, 'aclWithheld'),
    aclGranted: readSet(read, 'aclGranted'),
  }
}

function readSet(read: RowReader, set: AclSet): AclEntry[] {
  return (read.optional(set, read.texts) ?? []).map(text => {
    const entry = readEntryText(text)
    if (entry === null) throw read.corrupt(set, 'texts ["ALLOW","READ","User:name","*"]')
    return entry
  })
}

export function setText(entries: readonly AclEntry[]): string[] {
  return [...new Set(entries.map(entryText))].sort()
}

/** The ACLs of a set over all rows. */
export function aclsOf(rows: readonly AclRow[], set: AclSet): Acl[] {
  return rows.flatMap(({ pattern, name, ...row }) =>
    row[set].map(entry => ({ ...entry, pattern, name })),
  )
}
