// Owns how a KafkaMirrorMaker2 of Strimzi says how a cluster is reached: certificates and passwords
// in Secrets of Kubernetes. Does not own the rest of the resource (strimzi.ts).

import { accessOf } from '../cluster-access.ts'
import type { Access, Held, Property, Sasl, Settings } from '../mirror.ts'
import { isRecord, listIn, recordIn, textIn } from './plain-value.ts'

/** @param settings the properties under `config` of the cluster */
export function strimziAccess(
  {
    origin,
    path,
    value,
  }: {
    readonly origin: string
    readonly path: string
    readonly value: Readonly<Record<string, unknown>>
  },
  settings: Settings,
): Access {
  const authentication = recordIn(value, 'authentication')
  const type = textIn(authentication, 'type')
  const tls = isRecord(value.tls) ? trustOf(value.tls) : null
  if (type === 'custom') {
    const config = recordIn(authentication, 'config')
    const own = Object.keys(config).map((key): [string, Property] => [
      key,
      { origin, name: `${path}.authentication.config: ${key}`, value: textIn(config, key) ?? '' },
    ])
    const custom = accessOf(new Map([...settings, ...own]), {
      isEncrypted: tls !== null,
      isSasl: authentication.sasl === true,
    })
    return { tls: tls === null ? null : { ...custom.tls, ...tls }, sasl: custom.sasl }
  }
  if (type === 'tls') {
    const pair = recordIn(authentication, 'certificateAndKey')
    const secret = textIn(pair, 'secretName')
    return {
      tls: {
        ...tls,
        cert: inSecret(secret, textIn(pair, 'certificate') ?? 'tls.crt'),
        key: inSecret(secret, textIn(pair, 'key') ?? 'tls.key'),
      },
      sasl: null,
    }
  }
  return { tls, sasl: type === null ? null : strimziSasl(type, authentication) }
}

/** Several certificates become one PEM. */
function trustOf(tls: Readonly<Record<string, unknown>>): { ca?: Held } {
  const trusted = listIn(tls, 'trustedCertificates')
    .filter(isRecord)
    .map(each => inSecret(textIn(each, 'secretName'), textIn(each, 'certificate') ?? 'ca.crt'))
  if (trusted.length === 0) return {}
  const from = trusted.map(each => each.from).join(', and ')
  return { ca: { kind: 'secret', from, command: trusted.map(each => each.command).join('; ') } }
}

function strimziSasl(type: string, authentication: Readonly<Record<string, unknown>>): Sasl {
  const secretOf = (name: string) => {
    const secret = recordIn(authentication, name)
    const key = textIn(secret, 'password') ?? textIn(secret, 'key') ?? 'password'
    return inSecret(textIn(secret, 'secretName'), key)
  }
  const plain = (name: string): Held => ({
    kind: 'plain',
    text: textIn(authentication, name) ?? '',
  })
  switch (type) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512':
      return {
        ...{ kind: 'password', mechanism: type },
        username: plain('username'),
        password: secretOf('passwordSecret'),
      }
    case 'oauth': {
      const url = textIn(authentication, 'tokenEndpointUri')
      const token = secretOf('accessToken')
      if (url === null) return { kind: 'oauth', endpoint: null, token }
      const scope = textIn(authentication, 'scope')
      const clientSecret = secretOf('clientSecret')
      return {
        kind: 'oauth',
        endpoint: { url, clientId: plain('clientId'), clientSecret, scope },
        token,
      }
    }
    default:
      return { kind: 'unsupported', why: `gapless does not know the authentication type ${type}` }
  }
}

/** A value in a Secret of Kubernetes; the dots of its key are escaped for the command. */
function inSecret(secret: string | null, key: string): Extract<Held, { kind: 'secret' }> {
  const name = secret ?? 'SECRET'
  const path = key.replaceAll('.', '\\.')
  return {
    kind: 'secret',
    from: `${key} of the Secret ${name} of Kubernetes`,
    command: `kubectl get secret ${name} -o jsonpath='{.data.${path}}' | base64 -d`,
  }
}
