// Owns reading the properties of dedicated mode (connect-mirror-maker.sh): which flows they enable,
// and the configuration of their connectors, as MirrorMakerConfig of Kafka derives it. Does not own
// the syntax of the file (io/mirror-maker/mirror-files.ts).

import {
  booleanOf,
  listOf,
  type Mirror,
  MirrorError,
  type MirrorFlow,
  type Placed,
  type Property,
  settingsOf,
} from '../mirror.ts'
import { fateOf, isAccessKey } from '../properties/property-map.ts'

type Pair = { readonly source: string; readonly target: string }

/** The clients that a cluster's properties may be meant for. */
const clientPrefix = /^(?:consumer|producer|admin)/

/** @param properties of one file; where a name repeats, the last one counts, as in Java. */
export function readDedicated(file: string, properties: readonly Property[]): Mirror {
  const byName = new Map(properties.map(each => [each.name, each]))
  const named = byName.get('clusters')
  if (named === undefined) throw new MirrorError(`${file}: no clusters; ${accepted}`)
  const aliases = [...new Set(listOf(named.value))]
  const pairs = aliases.flatMap(source =>
    aliases.filter(target => target !== source).map(target => ({ source, target })),
  )
  const enabled = pairs.filter(pair => booleanOf(byName.get(`${arrowOf(pair)}enabled`), false))
  if (enabled.length === 0) {
    const example = pairs[0] === undefined ? 'A->B.' : arrowOf(pairs[0])
    throw new MirrorError(
      `${file}: no flow is enabled between ${aliases.join(', ')}; expected a line such as ${example}enabled = true`,
    )
  }
  return {
    form: 'dedicated mode',
    flows: enabled.map(pair => flowOf(pair, byName, aliases)),
    accesses: new Map(),
    properties: [...byName.values()].map(each => placed(each, { aliases, pairs, enabled })),
  }
}

const accepted =
  'expected properties of dedicated mode (clusters = A, B), connectors of Kafka Connect, or a KafkaMirrorMaker2 of Strimzi'

function arrowOf({ source, target }: Pair): string {
  return `${source}->${target}.`
}

/** As connectorBaseConfig of MirrorMakerConfig: later entries win. */
function flowOf(
  pair: Pair,
  byName: ReadonlyMap<string, Property>,
  aliases: readonly string[],
): MirrorFlow {
  const shared = [...byName].filter(([name]) => isShared(name, aliases))
  const settings = settingsOf([
    ...shared,
    ...clusterSettings('source.', pair.source, byName),
    ...clusterSettings('target.', pair.target, byName),
    ...behind(arrowOf(pair), byName),
  ])
  const back = `${pair.target}->${pair.source}.emit.heartbeats.enabled`
  const heartbeats =
    booleanOf(settings.get('emit.heartbeats.enabled'), true) &&
    booleanOf(settings.get('heartbeats.replication.enabled'), true) &&
    // The records that a flow carries are written to its source by the opposite pair.
    booleanOf(byName.get(back), true)
  return { ...pair, settings, checkpoint: settings, heartbeats }
}

/** True for a property without the prefix of a cluster or flow that a connector reads. */
function isShared(name: string, aliases: readonly string[]): boolean {
  if (name.includes('->') || aliases.some(each => name.startsWith(`${each}.`))) return false
  return !isAccessKey(name) && !clientPrefix.test(name) && !ofFlows.test(name)
}

/** Addresses, security and clients of one cluster; those of no cluster count for each. */
function clusterSettings(
  prefix: 'source.' | 'target.',
  alias: string,
  byName: ReadonlyMap<string, Property>,
): [string, Property][] {
  const forAll = [...byName].filter(([name]) => isAccessKey(name))
  return [...forAll, ...behind(`${alias}.`, byName)].map(([name, property]) => [
    clientPrefix.test(name) ? `${prefix}${name}` : `${prefix}cluster.${name}`,
    property,
  ])
}

function behind(prefix: string, byName: ReadonlyMap<string, Property>): [string, Property][] {
  return [...byName].flatMap(([name, property]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), property]] : [],
  )
}

function placed(
  property: Property,
  at: {
    readonly aliases: readonly string[]
    readonly pairs: readonly Pair[]
    readonly enabled: readonly Pair[]
  },
): Placed {
  const { name } = property
  const pair = at.pairs.find(each => name.startsWith(arrowOf(each)))
  if (pair !== undefined) {
    const key = baseKey(name.slice(arrowOf(pair).length))
    const isEnabled = at.enabled.includes(pair)
    // Heartbeats of a pair that copies nothing are still emitted.
    const isRead = isEnabled || key === 'enabled' || key === 'emit.heartbeats.enabled'
    const unread = isRead ? null : `the flow ${pair.source}->${pair.target} is not enabled`
    return { property, key, unread }
  }
  if (name.includes('->')) {
    return { property, key: name, unread: `clusters has ${at.aliases.join(', ')} only` }
  }
  const alias = at.aliases
    .filter(each => name.startsWith(`${each}.`))
    .toSorted((left, right) => right.length - left.length)[0]
  if (alias === undefined) return { property, key: name, unread: unreadAlone(name) }
  const key = name.slice(alias.length + 1)
  const isOfFlow = !isAccessKey(key) && fateOf(key).kind === 'mapped' && !clientPrefix.test(key)
  const unread = isOfFlow
    ? `MirrorMaker 2 reads it of a flow (A->B.${key}), not of a cluster`
    : null
  return { property, key, unread }
}

/** Why a property without the prefix of a cluster or flow is not read; null: it is. */
function unreadAlone(name: string): string | null {
  if (ofFlows.test(name)) return `MirrorMaker 2 reads it of a flow (A->B.${name}), not alone`
  const isClients = /^(?:consumer|producer|admin)\./.test(name) && !connectorTimeouts.includes(name)
  return isClients ? `MirrorMaker 2 reads it of a cluster (A.${name}), not alone` : null
}

/** Read by parts of a connector, and so not among the names that count for every flow. */
const ofFlows = /^(?:use\.defaults\.from|exactly\.once\.support|(?:transforms|predicates)\..*)$/

/** Properties of connectors that begin as those of clients do. */
const connectorTimeouts = ['consumer.poll.timeout.ms', 'admin.timeout.ms']

/** `source.consumer.x`, `target.cluster.x` are clients' properties x, as in Kafka Connect. */
export function baseKey(key: string): string {
  const [, cluster] = /^(?:source|target)\.cluster\.(?!alias$)(.*)$/.exec(key) ?? []
  const [, client] = /^(?:source|target)\.((?:consumer|producer|admin)\..*)$/.exec(key) ?? []
  const [, role, rest] = /^(consumer|producer|admin)\.override\.(.*)$/.exec(key) ?? []
  if (role !== undefined) return `${role}.${rest}`
  return cluster ?? client ?? key
}
