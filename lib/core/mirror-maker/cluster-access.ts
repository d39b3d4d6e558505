// Owns what the security properties of Kafka's Java clients mean for gapless: PEM in the place of
// stores, and passwords that are told by their place alone. Does not own the form of clusters in
// gapless.yml (cluster-draft.ts).

import { type Jaas, parseJaas } from './jaas.ts'
import {
  type Access,
  type Held,
  MirrorError,
  type Property,
  type Sasl,
  type Settings,
} from './mirror.ts'

/** What is known otherwise than by `security.protocol`. */
export type Protocol = { readonly isEncrypted: boolean; readonly isSasl: boolean }

/** @param settings the properties of one client: `security.protocol`, `ssl.*`, `sasl.*` */
export function accessOf(settings: Settings, given: Protocol | null = null): Access {
  const { isEncrypted, isSasl } = given ?? protocolOf(settings.get('security.protocol'))
  return {
    tls: isEncrypted ? tlsOf(settings) : null,
    sasl: isSasl ? saslOf(settings) : null,
  }
}

function protocolOf(property: Property | undefined): Protocol {
  const name = property?.value.trim().toUpperCase() ?? 'PLAINTEXT'
  if (property !== undefined && !/^(?:SASL_)?(?:PLAINTEXT|SSL)$/.test(name)) {
    throw new MirrorError(
      `${property.origin}: ${property.name} is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL`,
    )
  }
  return { isEncrypted: name.endsWith('SSL'), isSasl: name.startsWith('SASL_') }
}

function tlsOf(settings: Settings): NonNullable<Access['tls']> {
  return { ...trustOf(settings), ...identityOf(settings) }
}

function trustOf(settings: Settings): { ca?: Held } {
  const inline = settings.get('ssl.truststore.certificates')
  if (inline !== undefined) return { ca: hold(inline, 'PEM') }
  const store = settings.get('ssl.truststore.location')
  if (store === undefined) return {}
  if (isPem(settings.get('ssl.truststore.type')))
    return { ca: { kind: 'plain', text: store.value } }
  const command = `keytool -list -rfc -keystore ${store.value}`
  return { ca: { kind: 'secret', from: `${placeOf(store)}, as PEM`, command } }
}

function identityOf(settings: Settings): { cert?: Held; key?: Held; passphrase?: Held } {
  const password = settings.get('ssl.key.password')
  const passphrase = password === undefined ? {} : { passphrase: hold(password, 'value') }
  const chain = settings.get('ssl.keystore.certificate.chain')
  const key = settings.get('ssl.keystore.key')
  if (chain !== undefined && key !== undefined) {
    return { cert: hold(chain, 'PEM'), key: hold(key, 'PEM'), ...passphrase }
  }
  const store = settings.get('ssl.keystore.location')
  if (store === undefined) return {}
  if (isPem(settings.get('ssl.keystore.type'))) {
    // Such a file holds both.
    const file = { kind: 'plain', text: store.value } as const
    return { cert: file, key: file, ...passphrase }
  }
  const isPkcs12 =
    settings.get('ssl.keystore.type')?.value.trim().toUpperCase() === 'PKCS12' ||
    /\.(?:p12|pfx)$/i.test(store.value)
  const [convert, file] = isPkcs12
    ? ['', store.value]
    : [
        `keytool -importkeystore -srckeystore ${store.value} -destkeystore client.p12 -deststoretype PKCS12; `,
        'client.p12',
      ]
  const from = `${placeOf(store)}, as PEM`
  return {
    cert: { kind: 'secret', from, command: `${convert}openssl pkcs12 -in ${file} -nokeys` },
    key: { kind: 'secret', from, command: `openssl pkcs12 -in ${file} -nocerts -nodes` },
  }
}

function isPem(type: Property | undefined): boolean {
  return type?.value.trim().toUpperCase() === 'PEM'
}

function saslOf(settings: Settings): Sasl {
  const mechanism = settings.get('sasl.mechanism')?.value.trim().toUpperCase() ?? 'GSSAPI'
  const config = settings.get('sasl.jaas.config')
  const handlers = ['sasl.client.callback.handler.class', 'sasl.login.callback.handler.class']
  const isAmazon = handlers.some(each => settings.get(each)?.value.includes('software.amazon.msk'))
  if (mechanism === 'AWS_MSK_IAM' || (mechanism === 'OAUTHBEARER' && isAmazon))
    return { kind: 'iam' }
  const reference = config === undefined ? null : providerOf(config.value)
  const jaas = config === undefined || reference !== null ? null : parseJaas(config.value)
  if (config !== undefined && reference === null && jaas === null) {
    throw new MirrorError(
      `${config.origin}: ${config.name} is not in the form MODULE required NAME="VALUE" ...;`,
    )
  }
  switch (mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512':
      return {
        ...{ kind: 'password', mechanism: mechanism.toLowerCase() as 'plain' },
        username: option(config, jaas, 'username', 'plain'),
        password: option(config, jaas, 'password', 'secret'),
      }
    case 'OAUTHBEARER':
      return oauthOf(settings, config, jaas)
    default:
      return {
        ...{ kind: 'unsupported' },
        why: `gapless does not speak ${mechanism === 'GSSAPI' ? 'Kerberos (GSSAPI)' : mechanism}`,
      }
  }
}

function oauthOf(settings: Settings, config: Property | undefined, jaas: Jaas | null): Sasl {
  const credentials = 'sasl.oauthbearer.client.credentials'
  const url =
    settings.get('sasl.oauthbearer.token.endpoint.url')?.value.trim() ??
    jaas?.options.get('oauth.token.endpoint.uri')
  const token: Held = {
    kind: 'secret',
    from: config === undefined ? 'the identity provider' : `${placeOf(config)}: a token`,
    command: null,
  }
  if (url === undefined) return { kind: 'oauth', endpoint: null, token }
  const either = (key: string, names: readonly string[], kind: 'plain' | 'secret'): Held => {
    const own = settings.get(key)
    if (own !== undefined)
      return kind === 'plain' ? holdPlain(own.value, placeOf(own)) : hold(own, 'value')
    const name = names.find(each => jaas?.options.has(each)) ?? names[0] ?? ''
    return option(config, jaas, name, kind)
  }
  return {
    kind: 'oauth',
    endpoint: {
      url,
      clientId: either(`${credentials}.client.id`, ['clientId', 'oauth.client.id'], 'plain'),
      clientSecret: either(
        `${credentials}.client.secret`,
        ['clientSecret', 'oauth.client.secret'],
        'secret',
      ),
      scope:
        settings.get('sasl.oauthbearer.scope')?.value.trim() ??
        jaas?.options.get('scope') ??
        jaas?.options.get('oauth.scope') ??
        null,
    },
    token,
  }
}

/** An option of the login module. Where the whole line is elsewhere, the option is, too. */
function option(
  config: Property | undefined,
  jaas: Jaas | null,
  name: string,
  kind: 'plain' | 'secret',
): Held {
  if (config === undefined)
    return { kind: 'secret', from: `no sasl.jaas.config names the ${name}`, command: null }
  const value = jaas?.options.get(name)
  const from = `${name} in ${placeOf(config)}`
  if (value === undefined) return { kind: 'secret', from, command: null }
  if (kind === 'plain') return holdPlain(value, from)
  return providerOf(value) ?? { kind: 'secret', from, command: null }
}

function hold(property: Property, what: 'PEM' | 'value'): Held {
  const from = what === 'PEM' ? `${placeOf(property)}, with its line ends` : placeOf(property)
  return providerOf(property.value) ?? { kind: 'secret', from, command: null }
}

function holdPlain(value: string, from: string): Held {
  const held = providerOf(value)
  if (held?.kind === 'secret') return { ...held, from: `${from}: ${held.from}` }
  return held ?? { kind: 'plain', text: value }
}

/**
 * A reference to a config provider of Kafka Connect (KIP-297). It is no secret itself, and says
 * where the value is.
 */
function providerOf(value: string): Held | null {
  const [whole, provider, rest] = /^\$\{([^:}]+):([^}]*)\}$/.exec(value.trim()) ?? []
  if (whole === undefined) return null
  if (/env/i.test(provider ?? '') && /^[A-Za-z_]\w*$/.test(rest ?? '')) {
    return { kind: 'variable', name: rest ?? '' }
  }
  return { kind: 'secret', from: `the value of ${whole}`, command: null }
}

function placeOf({ name, origin }: Property): string {
  return `${name} (${origin})`
}
