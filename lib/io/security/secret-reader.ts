// Owns reading a secret from AWS: Secrets Manager and SSM's Parameter Store. Does not own when a
// secret is read nor how long it is kept (cluster-security.ts). A secret goes to the caller and
// nowhere else: no error contains it, nor an error of the SDK as its cause.

import type { SecretReference } from '../../core/config/cluster-config.ts'
import { CredentialError } from '../failure/credential-error.ts'

/** Reads the secret behind a reference. Throws `CredentialError`. */
export type SecretReader = { read(reference: SecretReference): Promise<string> }

/** The two requests to AWS; null: the secret exists and holds no text. */
export type SecretRequests = {
  getSecretValue(id: string, region: string | null): Promise<string | null>
  getParameter(name: string, region: string | null): Promise<string | null>
}

/** Attempts per request, the first one included. */
const ATTEMPTS_MAX = 3
const REQUEST_TIMEOUT_MS = 5_000

export function createSecretReader(requests: SecretRequests = awsRequests): SecretReader {
  return {
    async read(reference) {
      const whole = await ask(requests, reference)
      if (whole === null || whole === '') {
        throw unusable(reference, 'it holds no text', 'Store the secret as text.')
      }
      if ('ssm' in reference || reference.key === undefined) return whole
      return valueAt(whole, reference, reference.key)
    },
  }
}

async function ask(requests: SecretRequests, reference: SecretReference): Promise<string | null> {
  try {
    return await ('ssm' in reference
      ? requests.getParameter(reference.ssm, regionOf(reference.ssm))
      : requests.getSecretValue(reference.secretsManager, regionOf(reference.secretsManager)))
  } catch (error) {
    // The error's name alone is reported: its text may quote the request, its cause the response.
    const name = error instanceof Error ? error.name : 'no error'
    if (isAnswer(error)) {
      const text = sentence(reference, `AWS answered ${name}`, remedy(reference, name))
      throw new CredentialError(text, !NOT_THERE.test(name))
    }
    const next = 'Check region, network and credentials of this process.'
    throw new CredentialError(sentence(reference, codeOf(error) ?? name, next), false)
  }
}

/** JSON.parse quotes its input, here a secret, in its errors; none of them leaves this function. */
function valueAt(whole: string, reference: SecretReference, key: string): string {
  let parsed: unknown
  try {
    parsed = JSON.parse(whole)
  } catch {
    throw unusable(reference, 'it is no JSON', `Store it as JSON, or leave out key: ${key}.`)
  }
  const isObject = typeof parsed === 'object' && parsed !== null && Object.hasOwn(parsed, key)
  const value = isObject ? (parsed as Record<string, unknown>)[key] : undefined
  if (typeof value === 'string' && value !== '') return value
  throw unusable(reference, `its JSON has no text under ${key}`, 'Correct the key, or the secret.')
}

/** `Secrets Manager secret prod/kafka (key password)`: the name, never the value. */
export function describeReference(reference: SecretReference): string {
  if ('ssm' in reference) return `SSM parameter ${reference.ssm}`
  const key = reference.key === undefined ? '' : ` (key ${reference.key})`
  return `Secrets Manager secret ${reference.secretsManager}${key}`
}

function unusable(reference: SecretReference, answer: string, next: string): CredentialError {
  return new CredentialError(sentence(reference, answer, next), false)
}

function sentence(reference: SecretReference, answer: string, next: string): string {
  return `${describeReference(reference)} cannot be read: ${answer}. ${next}`
}

const NOT_THERE = /NotFound/

/** The code of a socket's error: `ECONNREFUSED`. */
function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : null
}

/** Smithy sets `$fault` on a response of the service, not on time-outs or socket errors. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && '$fault' in error
}

function remedy(reference: SecretReference, errorName: string): string {
  const [action, see] =
    'ssm' in reference
      ? ['ssm:GetParameter', `aws ssm get-parameter --name ${reference.ssm}`]
      : [
          'secretsmanager:GetSecretValue',
          `aws secretsmanager describe-secret --secret-id ${reference.secretsManager}`,
        ]
  if (NOT_THERE.test(errorName)) return `Create it, or correct its name and region: ${see}`
  return `Allow this role ${action} on it, and kms:Decrypt on its key if it has one of its own: ${see}`
}

/** The region in an ARN (a secret may be in another one than the function); null for a name. */
function regionOf(name: string): string | null {
  const [arn, , , region] = name.split(':')
  return arn === 'arn' && region ? region : null
}

// Each SDK client is loaded for the first secret of its service: most workers need no client.
const awsRequests: SecretRequests = {
  async getSecretValue(id, region) {
    const { SecretsManagerClient, GetSecretValueCommand } = await import(
      '@aws-sdk/client-secrets-manager'
    )
    const client = new SecretsManagerClient(clientOptions(region))
    try {
      const answer = await client.send(new GetSecretValueCommand({ SecretId: id }))
      return answer.SecretString ?? null
    } finally {
      client.destroy()
    }
  },
  async getParameter(name, region) {
    const { SSMClient, GetParameterCommand } = await import('@aws-sdk/client-ssm')
    const client = new SSMClient(clientOptions(region))
    try {
      const answer = await client.send(
        new GetParameterCommand({ Name: name, WithDecryption: true }),
      )
      return answer.Parameter?.Value ?? null
    } finally {
      client.destroy()
    }
  },
}

function clientOptions(region: string | null) {
  return {
    ...(region === null ? {} : { region }),
    maxAttempts: ATTEMPTS_MAX,
    requestHandler: {
      connectionTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
  }
}
