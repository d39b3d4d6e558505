// Owns one ACL of a topic in Kafka's words, its text, and what two ACLs have in common. Does not
// own which ACLs follow the source (sync/acl-rewrite.ts), nor the requests (io/admin/acl-admin.ts).

/** Kafka's operations on a topic (AclOperation). ALL stands for every one of them. */
export const topicOperations = [
  'READ',
  'WRITE',
  'CREATE',
  'DELETE',
  'ALTER',
  'DESCRIBE',
  'DESCRIBE_CONFIGS',
  'ALTER_CONFIGS',
] as const

export type TopicOperation = (typeof topicOperations)[number]

/** What an ACL is about: one topic, or every topic whose name begins with `name`. */
export type AclResource = {
  readonly pattern: 'LITERAL' | 'PREFIXED'
  /** `*` as a LITERAL name: every topic. */
  readonly name: string
}

export type AclEntry = {
  readonly permission: 'ALLOW' | 'DENY'
  readonly operation: TopicOperation | 'ALL'
  /** `User:orders`; `User:*`: everyone. */
  readonly principal: string
  /** An address; `*`: every one. */
  readonly host: string
}

export type Acl = AclResource & AclEntry

/** Equal for equal ACLs, and for no others. */
export function aclKey({ pattern, name, ...entry }: Acl): string {
  return `${resourceKey({ pattern, name })} ${entryText(entry)}`
}

export function resourceKey({ pattern, name }: AclResource): string {
  return `${pattern}/${name}`
}

/** JSON, because a principal may hold any character. */
export function entryText({ permission, operation, principal, host }: AclEntry): string {
  return JSON.stringify([permission, operation, principal, host])
}

const permissions = ['ALLOW', 'DENY'] as const
const operations = [...topicOperations, 'ALL'] as const

/** Reads what `entryText` wrote; null for any other text. */
export function readEntryText(text: string): AclEntry | null {
  const parts = partsOf(text)
  if (parts === null || parts.length !== 4) return null
  const [permissionText, operationText, principal, host] = parts
  const permission = permissions.find(each => each === permissionText)
  const operation = operations.find(each => each === operationText)
  if (permission === undefined || operation === undefined) return null
  if (typeof principal !== 'string' || typeof host !== 'string') return null
  return { permission, operation, principal, host }
}

function partsOf(text: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : null
  } catch {
    // No JSON is an answer here: the caller names the row that holds the text.
    return null
  }
}

/** As an operator reads it: `ALLOW READ for User:orders from * on topic primary.orders`. */
export function aclText({ permission, operation, principal, host, pattern, name }: Acl): string {
  const on = pattern === 'PREFIXED' ? `topics with prefix ${name}` : `topic ${name}`
  return `${permission} ${operation} for ${principal} from ${host} on ${on}`
}

/** The same ACLs, each once, in the order of their keys. */
export function distinctAcls(acls: readonly Acl[]): Acl[] {
  const byKey = new Map(acls.map(each => [aclKey(each), each]))
  return [...byKey].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, each]) => each)
}
