// Owns the token of Amazon MSK's IAM access control: a presigned URL of the action
// kafka-cluster:Connect, in base64url (https://github.com/aws/aws-msk-iam-auth#details). Signed
// with the SDK's own signer; AWS's package for the token brings an older signer and a second SDK.
// Does not own the other tokens (bearer-token.ts).

import { defaultProvider } from '@aws-sdk/credential-provider-node'
import { Sha256 } from '@smithy/core/checksum'
import { SignatureV4 } from '@smithy/signature-v4'
import { CredentialError } from '../failure/credential-error.ts'
import type { BearerToken } from './bearer-token.ts'

/** How long MSK accepts a signature; shorter where the credentials expire earlier. */
const TOKEN_LIFE_SECONDS = 900
/** Requests for credentials, where they come from an endpoint (ECS, EC2). */
const CREDENTIAL_RETRIES = 3
/** Sent unsigned, for the broker's log. */
const USER_AGENT = 'gapless'

/**
 * Signs a token with the credentials of this process. The only request is one for credentials,
 * where they come from an endpoint.
 */
export async function signMskToken(region: string, nowMs: number): Promise<BearerToken> {
  try {
    const provide = defaultProvider({ maxRetries: CREDENTIAL_RETRIES, clientConfig: { region } })
    const credentials = await provide()
    const service = 'kafka-cluster'
    const signer = new SignatureV4({
      ...{ service, region, credentials, sha256: Sha256 },
      applyChecksum: false,
    })
    const hostname = `kafka.${region}.amazonaws.com`
    const request = {
      ...{ method: 'GET', protocol: 'https:', hostname, path: '/' },
      headers: { host: hostname },
      query: { Action: 'kafka-cluster:Connect' },
    }
    const { query = {} } = await signer.presign(request, {
      expiresIn: lifeSeconds(credentials.expiration, nowMs),
      signingDate: new Date(nowMs),
    })
    const url = `https://${hostname}/?${queryText({ ...query, 'User-Agent': USER_AGENT })}`
    // A signature takes a millisecond and is bound to credentials that change, so none is kept.
    return { token: Buffer.from(url).toString('base64url'), freshUntilMs: null }
  } catch (error) {
    const name = error instanceof Error ? error.name : 'no error'
    throw new CredentialError(`no AWS credentials to sign an MSK token with (${name})`, true)
  }
}

/** X-Amz-Expires takes whole seconds. */
function lifeSeconds(expiration: Date | undefined, nowMs: number): number {
  if (expiration === undefined) return TOKEN_LIFE_SECONDS
  const leftSeconds = Math.floor((expiration.getTime() - nowMs) / 1_000)
  return Math.min(TOKEN_LIFE_SECONDS, Math.max(1, leftSeconds))
}

function queryText(query: Readonly<Record<string, unknown>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .sort()
    .join('&')
}
