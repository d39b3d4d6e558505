// Reading secrets behind references, and errors that name the reference and never contain the
// secret.

import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import {
  createSecretReader,
  type SecretRequests,
} from '../../../../lib/io/security/secret-reader.ts'

const canary = 'canary-4711'

function answering(answer: () => string | null): SecretRequests & { asked: unknown[] } {
  const asked: unknown[] = []
  return {
    asked,
    async getSecretValue(...of) {
      asked.push(['secret', ...of])
      return answer()
    },
    async getParameter(...of) {
      asked.push(['parameter', ...of])
      return answer()
    },
  }
}

async function failureOf(reading: Promise<unknown>): Promise<Error> {
  return reading.then(
    () => new Error('it was read'),
    error => error as Error,
  )
}

test.each([
  [{ secretsManager: 'prod/kafka' }, canary, canary],
  [{ secretsManager: 'prod/kafka', key: 'password' }, `{"password":"${canary}"}`, canary],
  [{ ssm: '/prod/kafka' }, canary, canary],
])(
  'The reference %j is resolved to the secret that AWS has there',
  async (reference, kept, value) => {
    expect(await createSecretReader(answering(() => kept)).read(reference)).toBe(value)
  },
)

test('A secret with an ARN is read from the region in the ARN', async () => {
  const requests = answering(() => canary)
  const reader = createSecretReader(requests)
  const secret = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:kafka-AbCdEf'
  await reader.read({ secretsManager: secret })
  await reader.read({ secretsManager: 'kafka' })
  await reader.read({ ssm: '/kafka' })
  expect(requests.asked).toEqual([
    ['secret', secret, 'eu-west-1'],
    ['secret', 'kafka', null],
    ['parameter', '/kafka', null],
  ])
})

test.each([
  ['no JSON', { secretsManager: 's', key: 'password' }, canary, 'it is no JSON'],
  ['JSON that breaks off', { secretsManager: 's', key: 'k' }, `{"k":"${canary}`, 'it is no JSON'],
  ['another key', { secretsManager: 's', key: 'k' }, `{"x":"${canary}"}`, 'no text under k'],
  ['a list', { secretsManager: 's', key: 'k' }, `["${canary}"]`, 'no text under k'],
  ['a number', { secretsManager: 's', key: 'k' }, `{"k":1,"x":"${canary}"}`, 'no text under k'],
  ['nothing', { ssm: '/p' }, '', 'it holds no text'],
  ['bytes', { ssm: '/p' }, null, 'it holds no text'],
])(
  'A secret of which the content is %s fails with an error that does not contain it',
  async (_case, reference, kept, reason) => {
    const error = await failureOf(createSecretReader(answering(() => kept)).read(reference))

    expect(error.message).toContain('cannot be read: ')
    expect(error.message).toContain(reason)
    expect(inspect(error, { depth: null })).not.toContain(canary)
  },
)

test.each([
  [
    { secretsManager: 'prod/kafka', key: 'password' },
    'AccessDeniedException',
    true,
    'Secrets Manager secret prod/kafka (key password) cannot be read: AWS answered ' +
      'AccessDeniedException. Allow this role secretsmanager:GetSecretValue on it, and kms:Decrypt ' +
      'on its key if it has one of its own: aws secretsmanager describe-secret --secret-id prod/kafka',
  ],
  [
    { ssm: '/p' },
    'ParameterNotFound',
    false,
    'SSM parameter /p cannot be read: AWS answered ParameterNotFound. Create it, or correct its ' +
      'name and region: aws ssm get-parameter --name /p',
  ],
])(
  'A reference %j that AWS refuses fails with its name, the permission and the command to run',
  async (...row) => {
    const [reference, name, isDenial, line] = row
    const refusal = Object.assign(new Error(canary), { name, $fault: 'client', $response: canary })
    const requests = answering(() => {
      throw refusal
    })

    const error = await failureOf(createSecretReader(requests).read(reference))

    expect(error).toMatchObject({ message: line, isDenial })
    expect(inspect(error, { depth: null })).not.toContain(canary)
  },
)

test('A request to AWS without a response is no denial of the secret', async () => {
  const requests = answering(() => {
    throw Object.assign(new Error(canary), { name: 'TimeoutError' })
  })

  const error = await failureOf(createSecretReader(requests).read({ ssm: '/p' }))

  expect(error).toMatchObject({ isDenial: false, message: expect.stringContaining('TimeoutError') })
  expect(inspect(error, { depth: null })).not.toContain(canary)
})
