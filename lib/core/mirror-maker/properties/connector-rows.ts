// Owns what becomes of the properties of MirrorMaker 2's connectors, of dedicated mode, of the
// workers of Connect, and of Strimzi's resource. Does not own those of Kafka's clients
// (client-rows.ts).

import { builtIn, mapped, none, type PropertyRow } from './fate.ts'

const minute = 'the function sync runs once a minute'
const noConnect = 'gapless runs without Kafka Connect'
const noTopic = 'gapless keeps this in DynamoDB, and has no such topic'

/** Properties of the connectors (Mirror*Config, ConnectorConfig) and of dedicated mode. */
export const connectorRows: readonly PropertyRow[] = [
  { names: ['clusters'], fate: mapped('clusters') },
  { names: ['enabled'], fate: mapped('flows[]', 'one flow for each enabled pair') },
  {
    names: ['source.cluster.alias', 'target.cluster.alias'],
    fate: mapped('clusters, flows[].from, flows[].to'),
  },
  { names: ['name', 'connector.class'], fate: mapped('flows[]', 'says which connector it is') },
  {
    names: ['topics'],
    fate: mapped('flows[].topics', 'regular expressions stand between slashes'),
  },
  {
    names: ['topics.exclude', 'topics.blacklist'],
    fate: mapped('flows[].exclude', 'internal topics of MirrorMaker 2 are always excluded'),
  },
  {
    names: ['groups'],
    fate: mapped('flows[].groups', 'offsets are committed, not only emitted as checkpoints'),
  },
  { names: ['groups.exclude', 'groups.blacklist'], fate: mapped('flows[].excludeGroups') },
  {
    names: ['replication.policy.class'],
    fate: mapped(
      'flows[].naming',
      'DefaultReplicationPolicy: prefix; IdentityReplicationPolicy: identity',
    ),
  },
  {
    names: ['replication.policy.separator'],
    fate: none(
      'the prefix of a standby topic always ends with a dot; with another separator gapless fills new topics',
    ),
  },
  {
    names: ['replication.policy.internal.topic.separator.enabled'],
    fate: none('names internal topics of MirrorMaker 2, which gapless leaves alone and excludes'),
  },
  {
    names: ['sync.topic.configs.enabled'],
    fate: mapped('flows[].sync.configs', 'true: follow; false: off'),
  },
  {
    names: ['config.properties.exclude', 'config.properties.blacklist'],
    fate: mapped(
      'flows[].sync.excludeConfigs',
      'names instead of patterns; STANDBY-TOPICS has what never follows',
    ),
  },
  {
    names: ['use.defaults.from'],
    fate: mapped('flows[].sync.useDefaults', 'source: source; target: standby'),
  },
  {
    names: ['sync.topic.acls.enabled'],
    fate: mapped('flows[].sync.acls', 'true: copy; false: off. The right to write is withheld'),
  },
  {
    names: ['emit.heartbeats.enabled'],
    fate: mapped(
      'flows[].sync.heartbeats',
      'true: mirror-maker; false: off. They are written to the source',
    ),
  },
  {
    names: ['heartbeats.replication.enabled'],
    fate: mapped('flows[].sync.heartbeats', 'false: off'),
  },
  {
    names: ['sync.group.offsets.enabled', 'emit.checkpoints.enabled'],
    fate: mapped(
      'flows[].groups',
      'no checkpoints: []. Checkpoints without sync: offsets are committed all the same; there is no topic of them',
    ),
  },
  {
    names: ['emit.heartbeats.interval.seconds', 'sync.group.offsets.interval.seconds'],
    fate: builtIn(minute),
  },
  {
    names: [
      'emit.checkpoints.interval.seconds',
      'sync.topic.configs.interval.seconds',
      'sync.topic.acls.interval.seconds',
    ],
    fate: builtIn(minute),
  },
  {
    names: ['refresh.topics.interval.seconds', 'refresh.topics.enabled'],
    fate: builtIn('the function plan looks for topics and partitions once a minute, always'),
  },
  {
    names: ['refresh.groups.interval.seconds', 'refresh.groups.enabled'],
    fate: builtIn('each tick of sync lists the groups, always'),
  },
  {
    names: ['offset.lag.max'],
    fate: builtIn('every offset is translated exactly, from counts that copying keeps'),
  },
  {
    names: ['emit.offset-syncs.enabled'],
    fate: builtIn('what translation needs is stored with each checkpoint, always'),
  },
  { names: ['offset-syncs.topic.*'], fate: none(noTopic) },
  {
    names: ['offset-syncs-*'],
    fate: none('such a client does not exist: there is no topic of offset syncs'),
  },
  { names: ['checkpoints.topic.*', 'checkpoints-*'], fate: none(noTopic) },
  {
    names: ['heartbeats.topic.replication.factor'],
    fate: none('the topic heartbeats is created with the default of its cluster'),
  },
  {
    names: ['replication.factor'],
    fate: none(
      'standby topics get the default of the standby cluster (default.replication.factor)',
    ),
  },
  {
    names: ['topic.filter.class', 'group.filter.class', 'config.property.filter.class'],
    fate: none('topics and groups are selected by names and patterns; no class of yours is loaded'),
  },
  {
    names: ['forwarding.admin.class'],
    fate: none('no class of yours is loaded; gapless creates and alters topics itself'),
  },
  {
    names: [
      'metric.names.formats',
      'metric.names.format',
      'metric.reporters',
      'add.source.alias.to.metrics',
    ],
    fate: none('metrics go to CloudWatch, named in OPERATING'),
  },
  {
    names: ['tasks.max', 'tasks.max.enforce'],
    fate: builtIn('workers are started as partitions have work; budgets.workersMax bounds them'),
  },
  {
    names: ['admin.timeout.ms', 'consumer.poll.timeout.ms'],
    fate: builtIn('budgets.requestTimeoutMs bounds each request'),
  },
  {
    names: ['transforms', 'transforms.*', 'predicates', 'predicates.*'],
    fate: none('records are copied as they are; gapless changes none'),
  },
  {
    names: ['key.converter*', 'value.converter*', 'header.converter*'],
    fate: builtIn('bytes are copied as they are, so nothing is converted'),
  },
  {
    names: ['errors.*'],
    fate: none('no record is passed over: a refused one halts its partition with an incident'),
  },
  {
    names: ['exactly.once.support', 'exactly.once.source.support', 'transaction.boundary*'],
    fate: builtIn('each record is copied once, always'),
  },
  {
    names: [
      'offsets.storage.topic',
      'topic.creation.*',
      'config.action.reload',
      'connector.plugin.version',
    ],
    fate: none(noConnect),
  },
  {
    names: ['config.providers', 'config.providers.*'],
    fate: none('secrets are references to AWS or variables of the environment; see SECURITY'),
  },
  { names: ['task.*'], fate: none(noConnect) },
]

/** Properties of the worker of Kafka Connect. */
export const workerRows: readonly PropertyRow[] = [
  {
    names: ['offset.storage.*', 'config.storage.*', 'status.storage.*'],
    fate: none(noTopic),
  },
  {
    names: ['offset.flush.*'],
    fate: builtIn('checkpoints are stored every budgets.checkpointIntervalMs'),
  },
  {
    names: [
      'group.id',
      'heartbeat.interval.ms',
      'session.timeout.ms',
      'rebalance.timeout.ms',
      'scheduled.rebalance.*',
      'worker.*',
      'inter.worker.*',
      'connect.protocol',
    ],
    fate: none('workers are no consumer group: leases in DynamoDB tell them apart'),
  },
  {
    names: [
      'listeners',
      'listeners.*',
      'admin.listeners',
      'rest.*',
      'response.http.*',
      'access.control.*',
      'dedicated.mode.enable.internal.rest',
      'ssl.client.auth',
    ],
    fate: none('there is no REST server'),
  },
  {
    names: [
      'plugin.*',
      'connector.client.config.override.policy',
      'topic.tracking.*',
      'task.shutdown.*',
    ],
    fate: none(noConnect),
  },
  {
    names: [
      'client.id',
      'client.dns.lookup',
      'connections.max.idle.ms',
      'metadata.*',
      'metrics.*',
      'receive.buffer.bytes',
      'send.buffer.bytes',
      'reconnect.*',
      'retry.*',
      'request.timeout.ms',
      'default.api.timeout.ms',
      'retries',
      'socket.connection.*',
      'bootstrap.controllers',
      'enable.metrics.push',
    ],
    fate: none("about Kafka's Java clients, which gapless does not use"),
  },
]

/** Keys of Strimzi's resource that are no properties of Kafka. */
export const strimziRows: readonly PropertyRow[] = [
  {
    names: ['spec.connectCluster'],
    fate: mapped('flows[].to', 'the cluster that each mirror writes to'),
  },
  {
    names: [
      'spec.target.groupId',
      'spec.target.configStorageTopic',
      'spec.target.offsetStorageTopic',
      'spec.target.statusStorageTopic',
    ],
    fate: none(noTopic),
  },
  {
    names: ['spec.*'],
    fate: none('about pods and connectors in Kubernetes; gapless runs as functions'),
  },
]
