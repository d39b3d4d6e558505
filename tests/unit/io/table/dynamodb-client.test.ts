import { describe, expect, test } from 'vitest'
import { ReplicatorError } from '../../../../lib/io/failure/replicator-error.ts'
import {
  createDynamoDbClient,
  describeEndpoint,
  requestAttemptsMax,
} from '../../../../lib/io/table/dynamodb-client.ts'

const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' }

describe('createDynamoDbClient', () => {
  test.each([
    [{ AWS_ENDPOINT_URL: 'http://127.0.0.1:4566' }, 'http://127.0.0.1:4566'],
    [{ AWS_ENDPOINT_URL: 'http://a:1', AWS_ENDPOINT_URL_DYNAMODB: 'https://b:2' }, 'https://b:2'],
    [{ AWS_ENDPOINT_URL: 'https://dynamodb.example' }, 'https://dynamodb.example'],
    [{ AWS_ENDPOINT_URL: '', AWS_REGION: 'eu-west-1' }, 'region eu-west-1'],
    [{ AWS_REGION: 'eu-west-1' }, 'region eu-west-1'],
  ])('the client of the table sends its requests where %j says', async (env, endpoint) => {
    expect(await describeEndpoint(createDynamoDbClient({ ...keys, ...env }))).toBe(endpoint)
  })

  test('the client of the table signs for a default region only when an endpoint is set', async () => {
    const local = createDynamoDbClient({ ...keys, AWS_ENDPOINT_URL: 'http://127.0.0.1:1' })
    expect(await local.config.region()).toBe('us-east-1')
    const named = createDynamoDbClient({
      ...keys,
      AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
      AWS_REGION: 'eu-west-1',
    })
    expect(await named.config.region()).toBe('eu-west-1')
  })

  test('the client of the table takes the keys and the session token of its environment', async () => {
    const client = createDynamoDbClient({ ...keys, AWS_SESSION_TOKEN: 'token', AWS_REGION: 'r' })
    expect(await client.config.credentials()).toMatchObject({
      accessKeyId: 'id',
      secretAccessKey: 'secret',
      sessionToken: 'token',
    })
  })

  test('the client of the table sends a request a bounded number of times', async () => {
    const client = createDynamoDbClient({ ...keys, AWS_REGION: 'eu-west-1' })
    expect(await client.config.maxAttempts()).toBe(requestAttemptsMax)
  })

  test.each([
    ['AWS_ENDPOINT_URL', 'localhost:4566'],
    ['AWS_ENDPOINT_URL', 'http://'],
    ['AWS_ENDPOINT_URL_DYNAMODB', 'here'],
  ])('the client of the table refuses %s=%s and names both', (name, value) => {
    const create = () => createDynamoDbClient({ ...keys, [name]: value })
    expect(create).toThrow(ReplicatorError)
    expect(create).toThrow(`${name} is ${JSON.stringify(value)}, expected a URL`)
  })
})
