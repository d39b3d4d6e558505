// Owns what becomes of the properties of Kafka's Java clients in MirrorMaker 2: addresses,
// security, and how they fetch and send.

import { builtIn, mapped, none, type PropertyRow } from './fate.ts'

/** Properties of Kafka's clients about addresses and security. */
export const accessRows: readonly PropertyRow[] = [
  { names: ['bootstrap.servers'], fate: mapped('clusters.NAME.brokers') },
  {
    names: ['security.protocol'],
    fate: mapped('clusters.NAME.tls, clusters.NAME.sasl', 'SSL: tls; SASL_SSL: both'),
  },
  {
    names: ['sasl.mechanism'],
    fate: mapped('clusters.NAME.sasl.mechanism', 'GSSAPI has no counterpart'),
  },
  {
    names: ['sasl.jaas.config'],
    fate: mapped('clusters.NAME.sasl', 'the user name as text, the password as a reference'),
  },
  {
    names: ['sasl.client.callback.handler.class', 'sasl.login.callback.handler.class'],
    fate: mapped(
      'clusters.NAME.sasl.mechanism',
      "those of Amazon's IAM library: aws-msk-iam; no other class is loaded",
    ),
  },
  {
    names: [
      'sasl.oauthbearer.token.endpoint.url',
      'sasl.oauthbearer.client.credentials.*',
      'sasl.oauthbearer.scope',
    ],
    fate: mapped('clusters.NAME.sasl.token', 'the client secret as a reference'),
  },
  {
    names: [
      'sasl.oauthbearer.assertion.*',
      'sasl.oauthbearer.jwt.retriever.class',
      'sasl.oauthbearer.header.urlencode',
    ],
    fate: none('tokens are fetched with client credentials (client id and secret) only'),
  },
  {
    names: ['sasl.oauthbearer.*'],
    fate: builtIn('about checking tokens, which the brokers do'),
  },
  { names: ['sasl.kerberos.*'], fate: none('gapless does not speak Kerberos (GSSAPI)') },
  {
    names: [
      'sasl.login.refresh.*',
      'sasl.login.retry.*',
      'sasl.login.connect.timeout.ms',
      'sasl.login.read.timeout.ms',
    ],
    fate: builtIn('tokens are renewed after four fifths of their lifetime'),
  },
  { names: ['sasl.login.class', 'security.providers'], fate: none('no class of yours is loaded') },
  {
    names: ['ssl.truststore.location', 'ssl.truststore.certificates'],
    fate: mapped('clusters.NAME.tls.ca', 'PEM; a JKS or PKCS12 store must be converted'),
  },
  {
    names: ['ssl.keystore.location', 'ssl.keystore.certificate.chain', 'ssl.keystore.key'],
    fate: mapped(
      'clusters.NAME.tls.cert, clusters.NAME.tls.key',
      'PEM, as references; a JKS or PKCS12 store must be converted',
    ),
  },
  {
    names: ['ssl.key.password'],
    fate: mapped(
      'clusters.NAME.tls.passphrase',
      'where the key is PEM; a converted store needs none',
    ),
  },
  {
    names: [
      'ssl.truststore.password',
      'ssl.keystore.password',
      'ssl.truststore.type',
      'ssl.keystore.type',
    ],
    fate: none('only for converting the store: PEM has no password of a store, and no type'),
  },
  {
    names: ['ssl.endpoint.identification.algorithm'],
    fate: builtIn('the name in the certificate is always checked'),
  },
  {
    names: [
      'ssl.protocol',
      'ssl.enabled.protocols',
      'ssl.cipher.suites',
      'ssl.provider',
      'ssl.secure.random.implementation',
    ],
    fate: builtIn("Node's own: TLS 1.2 and 1.3, with its ciphers"),
  },
  {
    names: ['ssl.keymanager.algorithm', 'ssl.trustmanager.algorithm', 'ssl.engine.factory.class'],
    fate: none('of the Java runtime'),
  },
]

/** Other properties of Kafka's clients, behind `consumer.`, `producer.` or `admin.`. */
export const clientRows: readonly PropertyRow[] = [
  {
    names: ['consumer.auto.offset.reset'],
    fate: mapped(
      'flows[].startFrom',
      'earliest: log-start; latest: log-end. Later, nothing is reset: onTruncation and onReset decide',
    ),
  },
  {
    names: ['consumer.isolation.level'],
    fate: builtIn('only committed records are copied, always'),
  },
  {
    names: ['consumer.fetch.*', 'consumer.max.partition.fetch.bytes', 'consumer.max.poll.records'],
    fate: none(
      'tuned for another client; budgets has fetchBytesMax, partitionFetchBytesMax and fetchWaitMs',
    ),
  },
  {
    names: [
      'producer.acks',
      'producer.enable.idempotence',
      'producer.max.in.flight.requests.per.connection',
      'producer.retries',
      'producer.transactional.id',
    ],
    fate: builtIn('acks=all with an idempotent producer, always'),
  },
  {
    names: ['producer.compression.*'],
    fate: none('batches stay as the source compressed them'),
  },
  {
    names: ['producer.max.request.size'],
    fate: builtIn('max.message.bytes of a standby topic is raised to that of the source'),
  },
  {
    names: [
      'producer.batch.size',
      'producer.linger.ms',
      'producer.buffer.memory',
      'producer.partitioner.*',
    ],
    fate: none(
      'whole batches are forwarded to the same partition; budgets.bufferBytesMax bounds the memory',
    ),
  },
  {
    names: ['consumer.client.rack'],
    fate: none('partitions are read from their leaders'),
  },
  {
    names: ['consumer.interceptor.classes', 'producer.interceptor.classes'],
    fate: none('no class of yours is loaded'),
  },
  {
    names: ['consumer.*', 'producer.*', 'admin.*'],
    fate: none("about Kafka's Java clients, which gapless does not use"),
  },
]
