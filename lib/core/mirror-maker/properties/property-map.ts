// Owns what becomes of each property of MirrorMaker 2: the key of gapless.yml that has its meaning,
// or why none has. docs/MIRROR-MAKER.md prints the rows. Does not own how a value is translated
// (flow-draft.ts, cluster-access.ts).

import { accessRows, clientRows } from './client-rows.ts'
import { connectorRows, strimziRows, workerRows } from './connector-rows.ts'
import { builtIn, type Fate, none, type PropertyRow } from './fate.ts'

/** The first row that has a name is the one that counts. */
export const propertyMap: readonly {
  readonly title: string
  readonly rows: readonly PropertyRow[]
}[] = [
  { title: 'Connectors and dedicated mode', rows: connectorRows },
  { title: 'Addresses and security', rows: accessRows },
  { title: 'Workers of Kafka Connect', rows: workerRows },
  { title: 'Clients', rows: clientRows },
  { title: 'Strimzi', rows: strimziRows },
]

const notRead: Fate = {
  kind: 'not-read',
  why: 'MirrorMaker 2 does not know this property',
}

/** Values that are what gapless does anyway, or that it has nothing for. */
const byValue: readonly { readonly key: string; readonly value: RegExp; readonly fate: Fate }[] = [
  {
    key: 'sasl.mechanism',
    value: /^GSSAPI$/i,
    fate: none('gapless does not speak Kerberos (GSSAPI)'),
  },
  {
    key: 'sasl.jaas.config',
    value: /Krb5LoginModule/,
    fate: none('gapless does not speak Kerberos (GSSAPI)'),
  },
  {
    key: 'replication.policy.class',
    value: /^(?!.*(?:Default|Identity|CustomMM2)ReplicationPolicy$)/,
    fate: none('no class of yours is loaded; naming was decided, see there'),
  },
  {
    key: 'replication.policy.separator',
    value: /^\.$/,
    fate: builtIn('the prefix of a standby topic always ends with a dot'),
  },
  { key: 'topic.filter.class', value: /\.DefaultTopicFilter$/, fate: builtIn('the default') },
  { key: 'group.filter.class', value: /\.DefaultGroupFilter$/, fate: builtIn('the default') },
  {
    key: 'config.property.filter.class',
    value: /\.DefaultConfigPropertyFilter$/,
    fate: builtIn('the default'),
  },
]

/** What becomes of a property by its name and value; the value may be a secret. */
export function fateOfValue(key: string, value: string): Fate {
  const special = byValue.find(each => each.key === key && each.value.test(value.trim()))
  return special?.fate ?? fateOf(key)
}

/** What becomes of a property by its name, without the prefix of its cluster or flow. */
export function fateOf(key: string): Fate {
  // `consumer.ssl.truststore.location` is about security first.
  const [, rest] =
    /^(?:consumer|producer|admin)\.((?:ssl|sasl|security|bootstrap)\..*)$/.exec(key) ?? []
  if (rest !== undefined) return fateOf(rest)
  for (const { rows } of propertyMap) {
    const row = rows.find(({ names }) => names.some(name => covers(name, key)))
    if (row !== undefined) return row.fate
  }
  return notRead
}

function covers(name: string, key: string): boolean {
  return name.endsWith('*') ? key.startsWith(name.slice(0, -1)) : key === name
}

/** True for addresses and security, which each cluster has and every client of it reads. */
export function isAccessKey(key: string): boolean {
  return accessRows.some(({ names }) => names.some(name => covers(name, key)))
}
