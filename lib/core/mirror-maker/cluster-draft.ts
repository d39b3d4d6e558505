// Owns a cluster of gapless.yml as it follows from MirrorMaker 2: brokers, tls, sasl, and a
// reference in the place of each secret.

import { accessOf } from './cluster-access.ts'
import { comment, decide, type Ledger } from './ledger.ts'
import { type Access, type Held, listOf, MirrorError, type Sasl, type Settings } from './mirror.ts'
import { isAccessKey } from './properties/property-map.ts'

export type ClusterDraft = Readonly<Record<string, unknown>>

/** Amazon's names of brokers tell the region: `b-1.x.kafka.eu-west-1.amazonaws.com`. */
const MSK_HOST = /\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com/

/**
 * The properties of a cluster that its clients read, without prefix. Where the cluster itself has
 * none about addresses and security, those of one of its clients are taken.
 */
export function clusterSettings(settings: Settings, role: 'source' | 'target'): Settings {
  const clients = role === 'source' ? ['consumer', 'admin'] : ['producer', 'admin']
  const prefixes = [
    ...clients.toReversed().flatMap(each => [`${each}.`, `${each}.override.`, `${role}.${each}.`]),
    `${role}.cluster.`,
  ]
  return new Map(
    prefixes.flatMap(prefix =>
      [...settings].flatMap(([key, property]) => {
        const name = key.startsWith(prefix) ? key.slice(prefix.length) : ''
        // `consumer.x` without a role is about both sides, and says nothing about an address.
        const isMeant =
          isAccessKey(name) && (name !== 'bootstrap.servers' || prefix.startsWith(role))
        return isMeant ? [[name, property] as const] : []
      }),
    ),
  )
}

export function draftCluster(
  alias: string,
  settings: Settings,
  given: Access | undefined,
  ledger: Ledger,
): ClusterDraft {
  const servers = settings.get('bootstrap.servers')
  if (servers === undefined) {
    throw new MirrorError(
      `cluster ${alias} has no bootstrap.servers; expected ${alias}.bootstrap.servers, or source.cluster. and target.cluster. in a connector`,
    )
  }
  const brokers = listOf(servers.value).map(each => each.replace(/\$\{\w*env:(\w+)\}/gi, '$${$1}'))
  const access = given ?? accessOf(settings)
  const put = (key: string, held: Held) => place(alias, key, held, ledger)
  const tls = draftTls(access.tls, put)
  const isRelative = Object.values(access.tls ?? {}).some(
    each => each.kind === 'plain' && !each.text.startsWith('/'),
  )
  if (isRelative) {
    comment(ledger, `clusters.${alias}.tls`, 'A path begins at the folder of this file.')
  }
  const sasl = draftSasl(access.sasl, { alias, brokers, put, ledger })
  const isInClear = tls === null && ['plain', 'oauthbearer'].includes(String(sasl?.mechanism))
  if (isInClear) {
    comment(
      ledger,
      `clusters.${alias}.insecure`,
      'As MirrorMaker 2 does it: the credentials cross the network in the clear.',
    )
  }
  return {
    brokers,
    ...(tls === null ? {} : { tls }),
    ...(sasl === null ? {} : { sasl }),
    ...(isInClear ? { insecure: true } : {}),
  }
}

type Put = (key: string, held: Held) => unknown

function draftTls(tls: Access['tls'], put: Put): unknown {
  if (tls === null) return null
  const held = (['ca', 'cert', 'key', 'passphrase'] as const).flatMap(key => {
    const value = tls[key]
    return value === undefined ? [] : [[key, put(key, value)] as const]
  })
  return held.length === 0 ? true : Object.fromEntries(held)
}

function draftSasl(
  sasl: Sasl | null,
  at: {
    readonly alias: string
    readonly brokers: readonly string[]
    readonly put: Put
    readonly ledger: Ledger
  },
): Record<string, unknown> | null {
  const { alias, brokers, put, ledger } = at
  switch (sasl?.kind) {
    case undefined:
      return null
    case 'password': {
      const username = put('username', sasl.username)
      return { mechanism: sasl.mechanism, username, password: put('password', sasl.password) }
    }
    case 'iam': {
      const region = brokers.map(each => MSK_HOST.exec(each)?.[1]).find(each => each !== undefined)
      comment(
        ledger,
        `clusters.${alias}.sasl`,
        'Signed with the role of the functions; docs/SECURITY.md has the actions that it needs.',
      )
      return { mechanism: 'aws-msk-iam', region: region ?? `\${AWS_REGION}` }
    }
    case 'oauth': {
      const { endpoint, token } = sasl
      if (endpoint === null || !isTokenUrl(endpoint.url)) {
        const why =
          endpoint === null ? 'no token endpoint is named' : 'its token endpoint is no https:// URL'
        decide(
          ledger,
          `cluster ${alias}`,
          `${why}, so a token is expected in the secret, and somebody has to renew it there`,
        )
        return { mechanism: 'oauthbearer', token: put('token', token) }
      }
      const clientId = put('clientId', endpoint.clientId)
      const clientSecret = put('clientSecret', endpoint.clientSecret)
      const scope = endpoint.scope === null ? {} : { scope: endpoint.scope }
      return {
        mechanism: 'oauthbearer',
        token: { url: endpoint.url, clientId, clientSecret, ...scope },
      }
    }
    case 'unsupported':
      decide(
        ledger,
        `cluster ${alias}`,
        `${sasl.why}; let its brokers offer SCRAM, OAUTHBEARER or certificates, and write sasl or tls for it`,
      )
      comment(ledger, `clusters.${alias}`, `No sasl: ${sasl.why}.`)
      return null
  }
}

/** As the schema of clusters accepts it (core/config/cluster-config.ts). */
function isTokenUrl(url: string): boolean {
  return /^(?:https:\/\/|http:\/\/(?:localhost|127\.0\.0\.1)[:/])[^@]*$/.test(url)
}

/** The value for the file: the text, a variable, or a reference whose secret is noted. */
function place(alias: string, key: string, held: Held, ledger: Ledger): unknown {
  switch (held.kind) {
    case 'plain':
      return literal(held.text)
    case 'variable':
      return `\${${held.name}}`
    case 'secret': {
      const secret = `gapless/${alias}`
      ledger.secrets.push({ secret, key, from: held.from, command: held.command })
      return { secretsManager: secret, key }
    }
  }
}

/** A text that is read from gapless.yml as it is (io/config/config-environment.ts). */
export function literal(text: string): string {
  // In a replacement that is a text, `$$` would be one `$`.
  return text.replaceAll('${', () => '$${')
}
