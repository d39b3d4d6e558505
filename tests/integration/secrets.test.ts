// References to secrets against LocalStack's Secrets Manager and Parameter Store: names, ARNs, JSON
// keys, encrypted parameters, and references to secrets that do not exist.

import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createSecretReader } from '../../lib/io/security/secret-reader.ts'
import { findPython } from '../../localstack/processes/tools.ts'
import { openSharedLocalStack } from '../support/worlds/shared-fixture.ts'

const hasPython = (await findPython()) !== undefined

beforeAll(async () => {
  if (!hasPython) return
  const { env } = await openSharedLocalStack()
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
})
afterAll(() => vi.unstubAllEnvs())

test('references to secrets are resolved from the answers that AWS gives', async context => {
  if (!hasPython) return context.skip('Python 3.11 was not found, so there is no LocalStack.')
  const secretsManager = new SecretsManagerClient()
  const ssm = new SSMClient()
  const secret = { Name: 'kafka', SecretString: '{"username":"gapless","password":"right"}' }
  const { ARN: arn = '' } = await secretsManager.send(new CreateSecretCommand(secret))
  const parameter = { Name: '/kafka/ca', Value: 'a certificate', Type: 'SecureString' } as const
  await ssm.send(new PutParameterCommand(parameter))
  const reader = createSecretReader()

  expect(await reader.read({ secretsManager: 'kafka', key: 'password' })).toBe('right')
  expect(await reader.read({ secretsManager: arn, key: 'username' })).toBe('gapless')
  expect(await reader.read({ secretsManager: arn })).toBe(secret.SecretString)
  expect(await reader.read({ ssm: '/kafka/ca' })).toBe('a certificate')
  await expect(reader.read({ secretsManager: 'nowhere' })).rejects.toMatchObject({
    message: expect.stringContaining('AWS answered ResourceNotFoundException. Create it'),
    isDenial: false,
  })
  await expect(reader.read({ ssm: '/nowhere' })).rejects.toMatchObject({
    message: expect.stringContaining('AWS answered ParameterNotFound. Create it'),
  })
})
