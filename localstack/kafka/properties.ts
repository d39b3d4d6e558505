// The server.properties of a local broker: small, with short intervals, and without automatic topic
// creation.

import { localAddress } from '../processes/ports.ts'

export type BrokerProperties = {
  nodeId: number
  port: number
  /** The port of the cluster's one controller, whichever node it is. */
  controllerPort: number
  controllerNodeId: number
  dataDirectory: string
  /** Further listeners, with TLS or SASL. */
  listeners?: readonly BrokerListener[]
  overrides: Record<string, string>
}

export type BrokerListener = {
  /**
   * In capitals; the listener's own settings begin with `listener.name.` and the name in lower
   * case.
   */
  name: string
  port: number
  protocol: 'SSL' | 'SASL_SSL' | 'PLAINTEXT'
  /** The port that the broker advertises to clients, when a proxy stands in front of it. */
  advertisedPort?: number
}

/** The broker with the controller's node id is the controller, too (KRaft's combined mode). */
export function renderProperties(broker: BrokerProperties): string {
  const isController = broker.nodeId === broker.controllerNodeId
  const voter = `${broker.controllerNodeId}@${localAddress}:${broker.controllerPort}`
  const further = broker.listeners ?? []
  const own: Omit<BrokerListener, 'protocol'> = { name: 'PLAINTEXT', port: broker.port }
  const addresses = (portOf: (listener: typeof own) => number) =>
    [own, ...further].map(each => `${each.name}://${localAddress}:${portOf(each)}`).join(',')
  const listener = addresses(each => each.port)
  const protocols = further.map(({ name, protocol }) => `,${name}:${protocol}`).join('')
  const controllerListener = `,CONTROLLER://${localAddress}:${broker.controllerPort}`
  const properties: Record<string, string> = {
    'process.roles': isController ? 'broker,controller' : 'broker',
    'node.id': String(broker.nodeId),
    'controller.quorum.voters': voter,
    'controller.listener.names': 'CONTROLLER',
    listeners: listener + (isController ? controllerListener : ''),
    'advertised.listeners': addresses(each => each.advertisedPort ?? each.port),
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT${protocols}`,
    'log.dirs': broker.dataDirectory,
    ...sharedProperties,
    ...broker.overrides,
  }
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
  return lines.join('')
}

const sharedProperties = {
  // The replicator creates topics itself. A topic that is created because a client asked for its
  // metadata would hide a deletion.
  'auto.create.topics.enable': 'false',
  'delete.topic.enable': 'true',
  // Internal topics fit one broker and are small: every partition costs files and start-up time.
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'share.coordinator.state.topic.num.partitions': '1',
  'group.initial.rebalance.delay.ms': '0',
  // A controller without work writes a record of no meaning every half second by default.
  'metadata.max.idle.interval.ms': '5000',
  // A killed broker can register again only when its old session is over; 9 s by default.
  'broker.session.timeout.ms': '4000',
  'broker.heartbeat.interval.ms': '1000',
  // Retention and compaction run within seconds instead of five minutes, so that truncation can be
  // seen.
  'log.initial.task.delay.ms': '500',
  'log.retention.check.interval.ms': '1000',
  'log.segment.delete.delay.ms': '500',
  'log.cleaner.backoff.ms': '500',
  // 128 MB by default, a quarter of the heap; 8 MB hold the keys of 350,000 records.
  'log.cleaner.dedupe.buffer.size': '8388608',
}
