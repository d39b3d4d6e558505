// Owns reading the connectors of MirrorMaker 2 as they are given to Kafka Connect: which of them
// belong to one pair of clusters. Does not own their files (io/mirror-maker/mirror-files.ts).

import {
  booleanOf,
  type Mirror,
  MirrorError,
  type MirrorFlow,
  type Property,
  type Settings,
} from '../mirror.ts'
import { baseKey } from './dedicated.ts'

/** One connector: its name in Kafka Connect, and its configuration. */
export type Connector = { readonly origin: string; readonly properties: readonly Property[] }

const classes = {
  source: 'MirrorSourceConnector',
  checkpoint: 'MirrorCheckpointConnector',
  heartbeat: 'MirrorHeartbeatConnector',
} as const
type Kind = keyof typeof classes
type Known = { readonly kind: Kind; readonly settings: Settings; readonly pair: string }

export function readConnectors(connectors: readonly Connector[]): Mirror {
  const known = connectors.map(knownConnector)
  const enabled = known.filter(({ settings }) => booleanOf(settings.get('enabled'), true))
  const sources = enabled.filter(({ kind }) => kind === 'source')
  if (sources.length === 0) {
    const files = [...new Set(connectors.map(({ origin }) => origin))].join(', ')
    throw new MirrorError(
      `${files}: no ${classes.source} that is enabled: it has the topics; give its file, too`,
    )
  }
  const of = (kind: Kind, pair: string) =>
    enabled.find(each => each.kind === kind && each.pair === pair)
  const isFirst = ({ pair }: Known, index: number) =>
    sources.findIndex(each => each.pair === pair) === index
  return {
    form: 'Kafka Connect',
    flows: sources.map((each, index) => ({
      ...pairOf(each.settings),
      settings: each.settings,
      checkpoint: of('checkpoint', each.pair)?.settings ?? null,
      heartbeats: isFirst(each, index) && hasHeartbeats(each, of('heartbeat', each.pair)),
    })),
    accesses: new Map(),
    properties: known.flatMap(({ kind, settings, pair }) => {
      const isUsed = sources.some(each => each.pair === pair)
      const unread = isUsed ? null : `no enabled ${classes.source} has the same two clusters`
      return [...settings].map(([key, property]) => ({
        property: { ...property, name: `${classes[kind]}: ${property.name}` },
        key: baseKey(key),
        unread: key === 'enabled' ? null : unread,
      }))
    }),
  }
}

function hasHeartbeats({ settings }: Known, heartbeat: Known | undefined): boolean {
  return (
    heartbeat !== undefined &&
    booleanOf(heartbeat.settings.get('emit.heartbeats.enabled'), true) &&
    booleanOf(settings.get('heartbeats.replication.enabled'), true)
  )
}

function knownConnector({ origin, properties }: Connector): Known {
  const settings: Settings = new Map(properties.map(each => [each.name, each]))
  const name = settings.get('connector.class')?.value.trim().split('.').at(-1)
  const kind = (Object.keys(classes) as Kind[]).find(each => classes[each] === name)
  if (kind === undefined) {
    const found = name === undefined ? 'has no connector.class' : `is a ${name}`
    throw new MirrorError(
      `${origin}: the connector ${found}; expected ${Object.values(classes).join(', ')}`,
    )
  }
  const { source, target } = pairOf(settings)
  return { kind, settings, pair: `${source}->${target}` }
}

/** The defaults are those of MirrorConnectorConfig. */
function pairOf(settings: Settings): Pick<MirrorFlow, 'source' | 'target'> {
  return {
    source: settings.get('source.cluster.alias')?.value.trim() || 'source',
    target: settings.get('target.cluster.alias')?.value.trim() || 'target',
  }
}
