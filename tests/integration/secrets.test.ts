// References to secrets against LocalStack's Secrets Manager and Parameter Store: names, ARNs, JSON
// keys, encrypted parameters, and references to secrets that do not exist.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createSecretReader } from '../../lib/io/security/secret-reader.ts'
import { startAws } from '../../localstack/engine/aws.ts'
import type { HttpService } from '../../localstack/processes/http-service.ts'
import { stopProcess } from '../../localstack/processes/os-process.ts'
import { findFreePort } from '../../localstack/processes/ports.ts'
import { findPython } from '../../localstack/processes/tools.ts'

const hasPython = (await findPython()) !== undefined

let dir: string
let localStack: HttpService | undefined

beforeAll(async () => {
  if (!hasPython) return
  dir = await mkdtemp(join(tmpdir(), 'gapless-secrets-'))
  localStack = await startAws({ flavour: 'localstack', port: await findFreePort(), dir })
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${localStack.port}`)
  vi.stubEnv('AWS_REGION', 'us-east-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  if (localStack !== undefined) await stopProcess(localStack)
  if (hasPython) await rm(dir, { recursive: true, force: true })
})

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
