// Owns the one form into which every configuration of MirrorMaker 2 is brought before it is
// translated: the connectors of each pair of clusters, as MirrorMaker 2 itself derives them. Does
// not own how the forms are read (dedicated.ts, connectors.ts, strimzi.ts), nor what becomes of a
// property (property-map.ts).

/** A property as a file has it. Its value may be a secret, so no error and no report quotes it. */
export type Property = {
  /** The name as it stands there: `A->B.topics`, `spec.mirrors[0].topicsPattern`. */
  readonly name: string
  readonly value: string
  /** `mm2.properties:12` */
  readonly origin: string
}

/** The properties of a connector or client, by the names under which Kafka reads them. */
export type Settings = ReadonlyMap<string, Property>

/** One source connector, with the other two connectors of the same pair of clusters. */
export type MirrorFlow = {
  readonly source: string
  readonly target: string
  /** The configuration of MirrorSourceConnector. */
  readonly settings: Settings
  /** The configuration of MirrorCheckpointConnector; null: there is none. */
  readonly checkpoint: Settings | null
  /** True: heartbeats are written to the source for this flow. */
  readonly heartbeats: boolean
}

/** One property of the input, and what it is called where Kafka reads it. */
export type Placed = {
  readonly property: Property
  /** `topics`, `ssl.truststore.location`, `consumer.max.poll.records` */
  readonly key: string
  /** Set where nothing reads the property: why. */
  readonly unread: string | null
}

export type Mirror = {
  readonly form: 'dedicated mode' | 'Kafka Connect' | 'Strimzi'
  readonly flows: readonly MirrorFlow[]
  /** Accesses that are not described by properties, by alias: those of Strimzi. */
  readonly accesses: ReadonlyMap<string, Access>
  readonly properties: readonly Placed[]
}

/** A value that may be a secret. */
export type Held =
  /** May stand in a file: a user name, a path, a URL. */
  | { readonly kind: 'plain'; readonly text: string }
  /** A variable of the environment. */
  | { readonly kind: 'variable'; readonly name: string }
  /** `from` says where it is now, without quoting it; `command`: the command that prints it. */
  | { readonly kind: 'secret'; readonly from: string; readonly command: string | null }

/** How a cluster is reached, without its addresses. */
export type Access = {
  /** Null: no encryption. A missing `ca`: the authorities that the machine trusts. */
  readonly tls: Readonly<Partial<Record<'ca' | 'cert' | 'key' | 'passphrase', Held>>> | null
  readonly sasl: Sasl | null
}

export type PasswordMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512'

export type Sasl =
  | {
      readonly kind: 'password'
      readonly mechanism: PasswordMechanism
      readonly username: Held
      readonly password: Held
    }
  | {
      readonly kind: 'oauth'
      /** Null: a token is given, and no endpoint. */
      readonly endpoint: {
        readonly url: string
        readonly clientId: Held
        readonly clientSecret: Held
        readonly scope: string | null
      } | null
      readonly token: Held
    }
  | { readonly kind: 'iam' }
  /** `why`: what gapless lacks. */
  | { readonly kind: 'unsupported'; readonly why: string }

/** The configuration cannot be read as one of MirrorMaker 2; one line that names the place. */
export class MirrorError extends Error {
  override readonly name = 'MirrorError'
}

export function settingsOf(properties: Iterable<readonly [string, Property]>): Settings {
  return new Map(properties)
}

/** A list in the form of Kafka (ConfigDef.Type.LIST): separated by commas, trimmed. */
export function listOf(value: string): string[] {
  const trimmed = value.trim()
  return trimmed === '' ? [] : trimmed.split(/\s*,\s*/).filter(each => each !== '')
}

/** True and false as ConfigDef.Type.BOOLEAN reads them. */
export function booleanOf(property: Property | undefined, otherwise: boolean): boolean {
  if (property === undefined) return otherwise
  const text = property.value.trim().toLowerCase()
  if (text === 'true') return true
  if (text === 'false') return false
  throw new MirrorError(`${property.origin}: ${property.name} is neither true nor false`)
}
