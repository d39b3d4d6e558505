// Certificates for brokers and clients, made in this process: the machine may lack openssl, and
// keytool cannot export a private key. X.509 v3 (RFC 5280) in DER, with only the fields that a TLS
// handshake needs.

import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export type Certificate = {
  /** PEM of the certificate. */
  readonly cert: string
  /** PEM of its private key (PKCS 8). */
  readonly key: string
}

type Authority = Certificate & { readonly name: string }

type Wanted = {
  readonly name: string
  /** The validity defaults to an hour ago until a day from now. */
  readonly validFromMs?: number
  readonly validToMs?: number
}

const HOUR_MS = 3_600_000

/** A certificate authority that signs itself. */
export function createAuthority(name: string): Authority {
  const pair = createPair()
  const cert = certify({ name }, { name, key: pair.key }, pair.spki, isAuthority)
  return { name, cert, key: pair.key }
}

/** Creates a certificate for a broker on this machine or for a client; its name is the subject. */
export function createCertificate(authority: Authority, wanted: Wanted): Certificate {
  const pair = createPair()
  return { cert: certify(wanted, authority, pair.spki, isLocalhost), key: pair.key }
}

function createPair(): { key: string; spki: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    spki: publicKey.export({ type: 'spki', format: 'der' }),
  }
}

function certify(
  wanted: Wanted,
  issuer: { readonly name: string; readonly key: string },
  spki: Buffer,
  extensions: Buffer,
): string {
  const validFromMs = wanted.validFromMs ?? Date.now() - HOUR_MS
  const validToMs = wanted.validToMs ?? Date.now() + 24 * HOUR_MS
  const body = sequence(
    // Version 3.
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(issuer.name),
    sequence(time(validFromMs), time(validToMs)),
    commonName(wanted.name),
    spki,
    tagged(0xa3, extensions),
  )
  const signature = sign('sha256', body, createPrivateKey(issuer.key))
  const whole = sequence(body, ecdsaWithSha256, bits(signature))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function tagged(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return tagged(0x30, ...contents)
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes)
}

function bits(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.from([0]), bytes)
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}

/** GeneralizedTime can hold any date; UTCTime ends in 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)
  return tagged(0x18, Buffer.from(`${digits}Z`))
}

function commonName(name: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(name)))))
}

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))

const TRUE = Buffer.from([0x01, 0x01, 0xff])

/** Basic constraints: a certificate authority. */
const isAuthority = sequence(sequence(oid('551d13'), TRUE, tagged(0x04, sequence(TRUE))))

/** Subject alternative names: localhost and 127.0.0.1. */
const isLocalhost = sequence(
  sequence(
    oid('551d11'),
    tagged(
      0x04,
      sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1]))),
    ),
  ),
)
