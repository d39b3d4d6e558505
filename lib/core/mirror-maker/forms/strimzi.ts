// Owns reading a KafkaMirrorMaker2 of Strimzi, in both shapes of its API: v1 (spec.target, and a
// source in each mirror) and v1beta2 (spec.clusters, named by each mirror). The result is what
// Strimzi's operator gives to Kafka Connect. Does not own the syntax of the file.

import {
  type Access,
  booleanOf,
  type Mirror,
  MirrorError,
  type MirrorFlow,
  type Placed,
  type Property,
  type Settings,
} from '../mirror.ts'
import { baseKey } from './dedicated.ts'
import { isRecord, listIn, recordIn, textIn } from './plain-value.ts'
import { strimziAccess } from './strimzi-access.ts'

type Resource = { readonly origin: string; readonly value: Readonly<Record<string, unknown>> }
type Cluster = {
  readonly alias: string
  readonly path: string
  readonly value: Readonly<Record<string, unknown>>
}
type Read = {
  readonly flows: MirrorFlow[]
  readonly accesses: Map<string, Access>
  readonly properties: Placed[]
}

const patterns = {
  topicsPattern: 'topics',
  topicsExcludePattern: 'topics.exclude',
  topicsBlacklistPattern: 'topics.exclude',
  groupsPattern: 'groups',
  groupsExcludePattern: 'groups.exclude',
  groupsBlacklistPattern: 'groups.exclude',
} as const

const connectorKeys = ['sourceConnector', 'checkpointConnector', 'heartbeatConnector']
const mirrorKeys = ['source', 'sourceCluster', 'targetCluster', ...connectorKeys]

export function readStrimzi(resources: readonly Resource[]): Mirror {
  const read: Read = { flows: [], accesses: new Map(), properties: [] }
  for (const resource of resources) readResource(resource, read)
  return { form: 'Strimzi', ...read }
}

function readResource({ origin, value }: Resource, read: Read): void {
  const spec = recordIn(value, 'spec')
  const clusters = clustersOf(origin, spec)
  for (const cluster of clusters) readCluster(origin, cluster, read)
  const mirrors = listIn(spec, 'mirrors').filter(isRecord)
  if (mirrors.length === 0)
    throw new MirrorError(`${origin}: spec.mirrors is empty: nothing is copied`)
  const target = recordIn(spec, 'target')
  noteOthers(read, origin, 'spec', spec, ['target', 'clusters', 'mirrors'])
  mirrors.forEach((mirror, index) => {
    const path = `spec.mirrors[${index}]`
    const source = textIn(recordIn(mirror, 'source'), 'alias') ?? textIn(mirror, 'sourceCluster')
    const to = textIn(target, 'alias') ?? textIn(mirror, 'targetCluster')
    if (source === null || to === null) {
      const shape = 'source and spec.target (v1), or sourceCluster and targetCluster (v1beta2)'
      throw new MirrorError(`${origin}: ${path} does not name its clusters; expected ${shape}`)
    }
    for (const alias of [source, to]) {
      if (clusters.some(each => each.alias === alias)) continue
      throw new MirrorError(
        `${origin}: ${path} names cluster ${alias}, which spec.clusters does not have`,
      )
    }
    readMirror({ origin, path, mirror, source, target: to, clusters }, read)
  })
}

function clustersOf(origin: string, spec: Readonly<Record<string, unknown>>): Cluster[] {
  const found = [
    { path: 'spec.target', value: spec.target },
    ...listIn(spec, 'clusters').map((value, index) => ({ path: `spec.clusters[${index}]`, value })),
    ...listIn(spec, 'mirrors').map((mirror, index) => ({
      path: `spec.mirrors[${index}].source`,
      value: isRecord(mirror) ? mirror.source : undefined,
    })),
  ]
  return found.flatMap(({ path, value }) => {
    if (!isRecord(value)) return []
    const alias = textIn(value, 'alias')
    if (alias === null) throw new MirrorError(`${origin}: ${path} has no alias`)
    return [{ alias, path, value }]
  })
}

function readCluster(origin: string, { alias, path, value }: Cluster, read: Read): void {
  const settings = configOf(origin, path, value, read)
  read.accesses.set(alias, strimziAccess({ origin, path, value }, settings))
  const brokers = textIn(value, 'bootstrapServers')
  if (brokers === null) throw new MirrorError(`${origin}: ${path} has no bootstrapServers`)
  note(read, property(origin, `${path}.alias`, alias), 'source.cluster.alias')
  note(read, property(origin, `${path}.bootstrapServers`, brokers), 'bootstrap.servers')
  noteOthers(read, origin, path, value, [
    'alias',
    'bootstrapServers',
    'tls',
    'authentication',
    'config',
  ])
  if (value.tls !== undefined)
    note(read, property(origin, `${path}.tls`, ''), 'ssl.truststore.location')
  noteAuthentication(read, origin, path, value)
}

function noteAuthentication(
  read: Read,
  origin: string,
  path: string,
  value: Readonly<Record<string, unknown>>,
): void {
  if (value.authentication === undefined) return
  const at = `${path}.authentication`
  const config = recordIn(recordIn(value, 'authentication'), 'config')
  note(read, property(origin, at, ''), 'sasl.jaas.config')
  for (const key of Object.keys(config)) {
    note(read, property(origin, `${at}.config: ${key}`, textIn(config, key) ?? ''), key)
  }
}

function readMirror(
  at: {
    readonly origin: string
    readonly path: string
    readonly mirror: Readonly<Record<string, unknown>>
    readonly source: string
    readonly target: string
    readonly clusters: readonly Cluster[]
  },
  read: Read,
): void {
  const { origin, path, mirror } = at
  const selected = Object.entries(patterns).flatMap(([name, key]): [string, Property][] => {
    const text = textIn(mirror, name)
    if (text === null) return []
    const found = property(origin, `${path}.${name}`, text)
    note(read, found, key)
    return [[key, found]]
  })
  noteOthers(read, origin, path, mirror, [...Object.keys(patterns), ...mirrorKeys])
  const connector = (name: string): Settings | null => {
    const value = mirror[name]
    if (!isRecord(value)) return null
    const tasks = textIn(value, 'tasksMax')
    if (tasks !== null) note(read, property(origin, `${path}.${name}.tasksMax`, tasks), 'tasks.max')
    noteOthers(read, origin, `${path}.${name}`, value, ['config', 'tasksMax'])
    return new Map([...configOf(origin, `${path}.${name}`, value, read), ...selected])
  }
  const source = connector('sourceConnector') ?? new Map(selected)
  const heartbeat = connector('heartbeatConnector')
  const settings = new Map([
    ...clientSettings('source', at.source, at),
    ...clientSettings('target', at.target, at),
    ...source,
  ])
  const isFirst = !read.flows.some(each => each.source === at.source && each.target === at.target)
  read.flows.push({
    ...{ source: at.source, target: at.target, settings },
    checkpoint: connector('checkpointConnector'),
    heartbeats:
      isFirst &&
      heartbeat !== null &&
      booleanOf(heartbeat.get('emit.heartbeats.enabled'), true) &&
      booleanOf(settings.get('heartbeats.replication.enabled'), true),
  })
}

/** Addresses and clients' properties of a cluster, as the operator names them for a connector. */
function clientSettings(
  role: 'source' | 'target',
  alias: string,
  { origin, clusters }: { readonly origin: string; readonly clusters: readonly Cluster[] },
): [string, Property][] {
  const cluster = clusters.find(each => each.alias === alias)
  const brokers = cluster === undefined ? null : textIn(cluster.value, 'bootstrapServers')
  if (cluster === undefined || brokers === null) return []
  const config = entriesOf(origin, cluster.path, cluster.value).map(
    ([key, found]): [string, Property] => [
      /^(?:consumer|producer|admin)\./.test(key) ? `${role}.${key}` : `${role}.cluster.${key}`,
      found,
    ],
  )
  const address = property(origin, `${cluster.path}.bootstrapServers`, brokers)
  return [[`${role}.cluster.bootstrap.servers`, address], ...config]
}

/** The properties under `config` of a cluster or connector, each noted for the report. */
function configOf(
  origin: string,
  path: string,
  value: Readonly<Record<string, unknown>>,
  read: Read,
): Settings {
  const entries = entriesOf(origin, path, value)
  for (const [key, found] of entries) note(read, found, baseKey(key))
  return new Map(entries)
}

function entriesOf(
  origin: string,
  path: string,
  value: Readonly<Record<string, unknown>>,
): [string, Property][] {
  const config = recordIn(value, 'config')
  return Object.keys(config).flatMap(key => {
    const text = textIn(config, key)
    return text === null ? [] : [[key, property(origin, `${path}.config: ${key}`, text)]]
  })
}

function property(origin: string, name: string, value: string): Property {
  return { name, value, origin }
}

function note(read: Read, found: Property, key: string): void {
  read.properties.push({ property: found, key, unread: null })
}

/** Every other key is accounted for by its path. */
function noteOthers(
  read: Read,
  origin: string,
  path: string,
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
): void {
  for (const key of Object.keys(value).filter(each => !known.includes(each))) {
    note(read, property(origin, `${path}.${key}`, textIn(value, key) ?? ''), `${path}.${key}`)
  }
}
