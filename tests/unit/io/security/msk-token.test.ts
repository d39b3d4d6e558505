// The token of Amazon MSK, compared with the one that AWS's own package makes at the same moment
// from the same credentials.

import { generateAuthToken } from 'aws-msk-iam-sasl-signer-js'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { signMskToken } from '../../../../lib/io/security/msk-token.ts'

const canary = 'canary-0815'
const nowMs = Date.UTC(2026, 1, 3, 4, 5, 6, 789)

beforeEach(() => {
  vi.useFakeTimers({ now: nowMs, toFake: ['Date'] })
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAEXAMPLE')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', canary)
  vi.stubEnv('AWS_SESSION_TOKEN', undefined)
  vi.stubEnv('AWS_CREDENTIAL_EXPIRATION', undefined)
  vi.stubEnv('AWS_PROFILE', undefined)
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

const urlOf = (token: string) => Buffer.from(token, 'base64url').toString('utf8')

// https://github.com/aws/aws-msk-iam-auth#details: a presigned URL, in base64url.
test('A token of Amazon MSK is a signed request to connect, for a quarter of an hour', async () => {
  const { token, freshUntilMs } = await signMskToken('eu-west-1', nowMs)

  const url = new URL(urlOf(token))
  expect(url.host).toBe('kafka.eu-west-1.amazonaws.com')
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    Action: 'kafka-cluster:Connect',
    'X-Amz-Expires': '900',
    'X-Amz-Credential': expect.stringMatching(
      /^AKIAEXAMPLE\/\d{8}\/eu-west-1\/kafka-cluster\/aws4_request$/,
    ),
  })
  expect(url.href).not.toContain(canary)
  expect(freshUntilMs).toBeNull()
})

test.each([
  ['keys of a user', undefined],
  ['keys of a role, whose session token needs escaping', 'IQoJb3JpZ2lu/+=/EXAMPLE=='],
])(
  'A token of Amazon MSK signed with %s equals the one of the AWS package but for the user agent',
  async (_with, sessionToken) => {
    vi.stubEnv('AWS_SESSION_TOKEN', sessionToken)

    const ours = await signMskToken('cn-north-1', nowMs)
    const official = await generateAuthToken({ region: 'cn-north-1' })

    const agent = /User-Agent=[^&]*/
    expect(urlOf(ours.token).match(agent)?.[0]).toBe('User-Agent=gapless')
    expect(urlOf(ours.token).replace(agent, '')).toBe(urlOf(official.token).replace(agent, ''))
    expect(urlOf(official.token)).toContain('X-Amz-Signature=')
  },
)

test('A token of Amazon MSK expires with the credentials that signed it, in whole seconds', async () => {
  vi.stubEnv('AWS_CREDENTIAL_EXPIRATION', new Date(nowMs + 400_900).toISOString())
  const { token } = await signMskToken('eu-west-1', nowMs)
  expect(new URL(urlOf(token)).searchParams.get('X-Amz-Expires')).toBe('400')
})
