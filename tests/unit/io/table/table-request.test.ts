import { afterEach, describe, expect, test } from 'vitest'
import { conflictAttemptsMax } from '../../../../lib/core/config/defaults.ts'
import { ReplicatorError } from '../../../../lib/io/failure/replicator-error.ts'
import { createCheckpointStore } from '../../../../lib/io/table/checkpoint-store.ts'
import {
  createDynamoDbClient,
  requestAttemptsMax,
} from '../../../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../../../lib/io/table/incident-store.ts'
import { listPagesMax } from '../../../../lib/io/table/table-request.ts'
import { partitionKey, replicating, truncation } from '../../../support/contracts/store-examples.ts'
import {
  type ScriptedAnswer,
  startScriptedDynamoDb,
} from '../../../support/table/scripted-dynamodb.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function storesAnswered(answer: (operation: string) => ScriptedAnswer) {
  const server = await startScriptedDynamoDb(answer)
  const client = createDynamoDbClient(server.env)
  ends.push(() => client.destroy(), server.close)
  return {
    server,
    checkpoints: createCheckpointStore(client, 'gapless'),
    incidents: createIncidentStore(client, 'gapless'),
  }
}

function refusal(name: string, status = 400): ScriptedAnswer {
  const body = { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: 'no' }
  return { status, body }
}

const saved = {
  key: partitionKey(),
  fence: 1,
  write: 1,
  state: replicating,
  nowMs: 1,
  lease: { kind: 'release' },
} as const

describe('updateRow', () => {
  test.each([
    ['throttled', refusal('ThrottlingException')],
    ['throttled by its capacity', refusal('ProvisionedThroughputExceededException')],
    ['answered by a failing server', refusal('InternalServerError', 500)],
  ])(
    'a request to the table that is %s is sent a bounded number of times and then fails',
    async (_, answer) => {
      const { server, checkpoints } = await storesAnswered(() => answer)
      await expect(checkpoints.save(saved)).rejects.toMatchObject({
        name: 'ReplicatorError',
        code: 'table-overloaded',
        message:
          `DynamoDB UpdateItem on table gapless at ${server.endpoint} failed while ` +
          'saving the checkpoint of commit-log-0 (flow primary-to-standby): no',
      })
      expect(server.requests).toHaveLength(requestAttemptsMax)
    },
  )

  test('a request to the table that is throttled once is sent again and succeeds', async () => {
    const answers = [refusal('ThrottlingException'), { status: 200, body: {} }]
    const { server, checkpoints } = await storesAnswered(
      () => answers.shift() ?? refusal('InternalServerError', 500),
    )
    expect(await checkpoints.save(saved)).toBe('saved')
    expect(server.requests).toEqual(['UpdateItem', 'UpdateItem'])
  })

  test.each([
    ['AccessDeniedException', 'table-denied', /dynamodb:UpdateItem/],
    ['UnrecognizedClientException', 'table-denied', /AWS_ACCESS_KEY_ID/],
    ['ResourceNotFoundException', 'table-missing', /^run: gapless init/],
    ['ValidationException', 'table-refused', /keys pk \(hash\) and sk \(range\)/],
  ])(
    'a request to the table that is refused with %s fails with code %s',
    async (name, code, hint) => {
      const { checkpoints } = await storesAnswered(() => refusal(name))
      const refused = checkpoints.save(saved)
      await expect(refused).rejects.toThrow(ReplicatorError)
      await expect(refused).rejects.toMatchObject({ code, hint: expect.stringMatching(hint) })
    },
  )

  test('a request to a table endpoint where nothing listens fails with the endpoint and its variable', async () => {
    const { server, checkpoints } = await storesAnswered(() => refusal('InternalServerError', 500))
    await server.close()
    await expect(checkpoints.get(partitionKey())).rejects.toMatchObject({
      code: 'table-unreachable',
      message: expect.stringMatching(/GetItem .*ECONNREFUSED 127\.0\.0\.1/),
      hint: `Check that DynamoDB listens at ${server.endpoint} (AWS_ENDPOINT_URL).`,
    })
  })
})

const canceled = (...codes: string[]): ScriptedAnswer => ({
  status: 400,
  body: {
    __type: 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
    message: 'Transaction cancelled',
    CancellationReasons: codes.map(Code => ({ Code })),
  },
})

describe('a request that meets a transaction of another client', () => {
  const foundUnder = { key: partitionKey(), fence: 1 }

  test('an update that conflicts with a transaction is sent again and succeeds', async () => {
    const answers = [refusal('TransactionConflictException'), { status: 200, body: {} }]
    const { server, checkpoints } = await storesAnswered(
      () => answers.shift() ?? refusal('InternalServerError', 500),
    )
    expect(await checkpoints.save(saved)).toBe('saved')
    expect(server.requests).toEqual(['UpdateItem', 'UpdateItem'])
  })

  test.each([['TransactionConflict'], ['ThrottlingError'], ['ProvisionedThroughputExceeded']])(
    'a transaction that is canceled with %s is sent again and succeeds',
    async reason => {
      let canceledTimes = 0
      const { server, incidents } = await storesAnswered(operation => {
        if (operation !== 'TransactWriteItems') return { status: 200, body: {} }
        canceledTimes += 1
        return canceledTimes <= 2 ? canceled('None', reason) : { status: 200, body: {} }
      })
      expect(await incidents.record(truncation(), foundUnder)).toBe('recorded')
      expect(server.requests.filter(each => each === 'TransactWriteItems')).toHaveLength(3)
    },
  )

  test.each([
    [['ConditionalCheckFailed', 'None']],
    [['ConditionalCheckFailed', 'TransactionConflict']],
  ])('a transaction whose condition does not hold is not sent again (%j)', async codes => {
    const { server, incidents } = await storesAnswered(operation =>
      operation === 'TransactWriteItems' ? canceled(...codes) : { status: 200, body: {} },
    )
    expect(await incidents.record(truncation(), foundUnder)).toBe('overtaken')
    expect(server.requests.filter(each => each === 'TransactWriteItems')).toHaveLength(1)
  })

  test('a row that always conflicts is asked a bounded number of times, and the error says that nothing was lost', async () => {
    const { server, incidents } = await storesAnswered(operation =>
      operation === 'TransactWriteItems'
        ? canceled('None', 'TransactionConflict')
        : { status: 200, body: {} },
    )
    await expect(incidents.record(truncation(), foundUnder)).rejects.toMatchObject({
      code: 'table-overloaded',
      hint: expect.stringContaining('Nothing was lost'),
    })
    const sent = server.requests.filter(each => each === 'TransactWriteItems')
    expect(sent).toHaveLength(conflictAttemptsMax)
  })

  test('a transaction that is refused for another reason fails at once', async () => {
    const { server, incidents } = await storesAnswered(operation =>
      operation === 'TransactWriteItems'
        ? canceled('None', 'ValidationError')
        : { status: 200, body: {} },
    )
    await expect(incidents.record(truncation(), foundUnder)).rejects.toMatchObject({
      code: 'table-refused',
    })
    expect(server.requests.filter(each => each === 'TransactWriteItems')).toHaveLength(1)
  })
})

describe('listRows', () => {
  test('a list with more pages than the bound fails instead of being cut short', async () => {
    const { server, checkpoints } = await storesAnswered(() => ({
      status: 200,
      body: { Items: [], LastEvaluatedKey: { pk: { S: 'f' }, sk: { S: 'checkpoint/a' } } },
    }))
    await expect(checkpoints.list('primary-to-standby')).rejects.toMatchObject({
      code: 'table-refused',
      message: expect.stringMatching(
        new RegExp(`^Flow primary-to-standby has more than ${listPagesMax} pages`),
      ),
    })
    expect(server.requests).toHaveLength(listPagesMax)
  })
})
