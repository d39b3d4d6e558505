// The artefacts of `npm run package` as Lambda would run them: AWS's own runtime interface client
// loads the bundle, with the variables that the template gives each function, on real brokers and a
// real table. What the functions then ask of AWS is compared with what their roles allow.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { packageFunctions } from '../../infra/package.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/table/incident-store.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { fetchLambdaRuntime } from '../../localstack/artifacts.ts'
import { findMissingBuildTools } from '../../localstack/processes/tools.ts'
import { until } from '../../localstack/processes/until.ts'
import {
  removeStarted,
  type StandInAws,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../localstack/scratch/brokers.ts'
import { type ScratchLambda, startScratchLambda } from '../../localstack/scratch/scratch-lambda.ts'
import {
  connectTo,
  createTopic,
  deleteRecords,
  produceBatches,
} from '../../localstack/scratch/topics.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { contentsOf, records } from '../support/kafka/records.ts'
import { actionsOf, readTemplate, statementsOf, templateName } from '../support/stack-template.ts'

const SLOW_MS_MAX = 120_000
/** The client's native part is compiled once on a machine: 2.5 minutes where others work, too. */
const COMPILE_MS_MAX = 900_000
const table = 'gapless-prod'
const names = {
  plan: 'gapless-prod-plan',
  watch: 'gapless-prod-watch',
  replicate: 'gapless-prod-replicate',
}
const roles = { plan: 'PlanRole', watch: 'WatchRole', replicate: 'ReplicateRole' }
/** In place of the reference to it in the template. */
const alertTopic = 'arn:aws:sns:us-east-1:000000000000:gapless-prod-alerts'
/** Nobody listens there. */
const nowhere = '127.0.0.1:9'

/** Of the programs that compile the client's native part; nothing here can be tested without. */
let missing: string[] = []
let directory = ''
let taskRoot = ''
let runtime = ''
let primary: TestCluster
let standby: TestCluster
let aws: StandInAws
let lambda: ScratchLambda

beforeAll(async () => {
  missing = await findMissingBuildTools()
  if (missing.length > 0) return
  directory = mkdtempSync(join(tmpdir(), 'gapless-entrypoint-'))
  taskRoot = join(directory, 'image')
  ;[primary, standby, aws, runtime] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
    fetchLambdaRuntime(),
  ])
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  client.destroy()
  const config = writeConfig('config.yml', [
    { name: 'copied', from: 'primary', topics: ['/^copied\\..*/'] },
    { name: 'followed', from: 'primary', topics: ['/^followed\\..*/'], mode: 'continuous' },
    { name: 'unreachable', from: 'nowhere', topics: ['anything'] },
  ])
  await packageFunctions({ stage: 'prod', image: null, config, params: [], directory })
  lambda = await startLambda({})
}, COMPILE_MS_MAX)
afterAll(async () => {
  await lambda?.stop()
  await removeStarted()
  if (directory !== '') rmSync(directory, { recursive: true, force: true })
})

beforeEach(context => {
  if (missing.length > 0)
    context.skip(`aws-lambda-ric cannot be compiled: no ${missing.join(', ')}`)
})

test('success: a tick plans, its workers copy, and both answer', async () => {
  const contents = records(0, 200)
  await createTopic(connectTo(primary), 'copied.log', { partitions: 1 })
  await produceBatches(connectTo(primary), { topic: 'copied.log', partition: 0 }, [contents])

  const outcome = await lambda.invoke(names.plan, {})

  expect(outcome).toMatchObject({
    kind: 'succeeded',
    answer: {
      flows: [
        { name: 'copied', partitions: 1, shards: 1, halted: 0, unobserved: 0 },
        { name: 'followed', partitions: 0 },
        { name: 'unreachable', partitions: 0 },
      ],
    },
  })
  await until('the worker has answered', async () => endsOf(names.replicate).length > 0)
  expect(endsOf(names.replicate)).toMatchObject([
    {
      kind: 'succeeded',
      answer: { partitions: [{ topic: 'copied.log', recordsReplicated: '200' }] },
    },
  ])
  const at = { topic: 'primary.copied.log', partition: 0 }
  expect(contentsOf(await readPartition(connectTo(standby), at))).toEqual(contents)
})

test('error: a worker whose partition halts fails with the sentence, and its process goes on', async () => {
  await produceBatches(connectTo(primary), { topic: 'copied.log', partition: 0 }, [
    records(200, 50),
  ])
  const cut = { topic: 'copied.log', partition: 0, offset: 240 }
  await deleteRecords(connectTo(primary), cut)
  const before = endsOf(names.replicate).length

  await lambda.invoke(names.plan, {})

  await until('the worker has ended', async () => endsOf(names.replicate).length > before)
  expect(endsOf(names.replicate).at(-1)).toEqual({
    kind: 'failed',
    error: {
      errorType: 'Error',
      errorMessage: '1 of 1 partitions need attention: copied.log-0 halted',
    },
  })
  expect(lambda.processes(names.replicate)).toBe(1)
  expect(lambda.log(names.replicate)).toContain(
    'CRITICAL: Log truncation detected for copied.log-0. Expected offset 200, but got 240.',
  )
  const client = createDynamoDbClient(aws.env)
  const { incidents } = await createIncidentStore(client, table).list('copied', 'all')
  client.destroy()
  expect(incidents).toMatchObject([{ kind: 'log-truncated', foundOffset: 240n }])
})

test('the auditor tells the alert topic of what the tick has found, once', async () => {
  const first = await lambda.invoke(names.watch, {})
  await lambda.invoke(names.watch, {})

  expect(first).toMatchObject({
    kind: 'succeeded',
    answer: {
      flows: expect.arrayContaining([expect.objectContaining({ name: 'copied', told: 1 })]),
    },
  })
  expect(lambda.published.filter(each => each.includes('copied.log'))).toHaveLength(1)
})

test('error: an event that makes no sense is refused, and the next one is served', async () => {
  expect(await lambda.invoke(names.replicate, { flow: 'copied' })).toMatchObject({
    kind: 'failed',
    error: { errorMessage: expect.stringContaining('partitions') },
  })
  expect(await lambda.invoke(names.replicate, { flow: 'copied', partitions: [] })).toMatchObject({
    kind: 'succeeded',
  })
})

test(
  'a worker that follows its partitions invokes its successor before its time is up',
  async () => {
    await createTopic(connectTo(primary), 'followed.log', { partitions: 1 })
    await produceBatches(connectTo(primary), { topic: 'followed.log', partition: 0 }, [
      records(0, 20),
    ])
    const before = endsOf(names.replicate).length

    await lambda.invoke(names.plan, {})

    await until('the first worker has ended', async () => endsOf(names.replicate).length > before)
    expect(endsOf(names.replicate).at(-1)).toMatchObject({
      kind: 'succeeded',
      answer: { partitions: [{ topic: 'followed.log', recordsReplicated: '20' }] },
    })
    expect(lambda.actions(names.replicate)).toContain('lambda:InvokeFunction')
    await produceBatches(connectTo(primary), { topic: 'followed.log', partition: 0 }, [
      records(20, 20),
    ])
    const at = { topic: 'primary.followed.log', partition: 0 }
    await until('the successor has copied what came since', async () => {
      return (await readPartition(connectTo(standby), at)).length === 40
    })
    expect(lambda.processes(names.replicate)).toBe(2)
  },
  SLOW_MS_MAX,
)

describe('the roles of the template', () => {
  for (const door of ['plan', 'watch', 'replicate'] as const) {
    const name = names[door]
    test(`${door} is allowed what it asks of AWS, and nothing else`, () => {
      const { resources } = readTemplate(join(directory, 'cloudformation', templateName))
      const role = resources[roles[door]]
      if (role === undefined) throw new Error('the role is missing')
      const allowed = actionsOf(statementsOf(role)).filter(each => !/^(?:logs|sqs):/.test(each))
      expect(lambda.actions(name)).toEqual(allowed)
    })
  }
})

test('time-out: what has not ended by then is killed, and the next invocation gets a new process', async () => {
  const silent = await startSilentServer()
  writeConfig(
    'image/silent.yml',
    [{ name: 'silent', from: 'primary', topics: ['anything'] }],
    silent.address,
  )
  const late = await startLambda({ GAPLESS_CONFIG: 'silent.yml' }, { planTimeoutMs: 3_000 })
  onTestFinished(() => late.stop())

  expect(await late.invoke(names.plan, {})).toEqual({ kind: 'timed-out' })
  expect(await late.invoke(names.plan, {})).toEqual({ kind: 'timed-out' })
  expect(late.processes(names.plan)).toBe(2)
})

test('init failure: a configuration that cannot be used fails every start with its one line', async () => {
  writeConfig('image/wrong.yml', [{ name: 'x', from: 'primary', topics: ['x'], workers: 3 }])
  const wrong = await startLambda({ GAPLESS_CONFIG: 'wrong.yml' })
  onTestFinished(() => wrong.stop())

  const outcome = await wrong.invoke(names.replicate, {})

  if (outcome.kind !== 'init-failed') throw new Error(`it ${outcome.kind}`)
  expect(outcome.error.errorType).toBe('ConfigError')
  expect(outcome.error.errorMessage).toMatch(/^wrong\.yml:1: flows\[0\]\.workers is not [^\n]+$/)
  expect(await wrong.invoke(names.replicate, {})).toEqual(outcome)
})

test('init failure: a configuration that is missing is named', async () => {
  const missing = await startLambda({ GAPLESS_CONFIG: 'gapless-prod.yml' })
  onTestFinished(() => missing.stop())

  expect(await missing.invoke(names.plan, {})).toMatchObject({
    kind: 'init-failed',
    error: {
      errorType: 'ConfigError',
      errorMessage: expect.stringMatching(/^gapless-prod\.yml: no such file; [^\n]+$/),
    },
  })
})

function endsOf(name: string) {
  return lambda.ended.filter(each => each.name === name).map(each => each.outcome)
}

function startLambda(
  variables: Record<string, string>,
  { planTimeoutMs = 120_000 } = {},
): Promise<ScratchLambda> {
  const { resources } = readTemplate(join(directory, 'cloudformation', templateName))
  const settingsOf = (name: string, timeoutMs: number) => {
    const resource = resources[name]
    if (resource === undefined) throw new Error(`no ${name} in the template`)
    const { Environment, ImageConfig } = resource.Properties as {
      Environment: { Variables: Record<string, string> }
      ImageConfig: { Command: [string] }
    }
    const all = { ...Environment.Variables, GAPLESS_ALERT_TOPIC: alertTopic, ...variables }
    return { handler: ImageConfig.Command[0], timeoutMs, variables: all }
  }
  return startScratchLambda({
    taskRoot,
    runtime,
    dynamoDbEndpoint: aws.endpoint,
    functions: {
      [names.plan]: settingsOf('PlanLambdaFunction', planTimeoutMs),
      [names.watch]: settingsOf('WatchLambdaFunction', 120_000),
      // Lambda's 900 s would be a long test of the hand-over.
      [names.replicate]: settingsOf('ReplicateLambdaFunction', 20_000),
    },
  })
}

function writeConfig(
  file: string,
  flows: readonly Record<string, unknown>[],
  source = primary.brokers,
): string {
  const path = join(directory, file)
  const document = {
    clusters: {
      primary: { brokers: [source] },
      standby: { brokers: [standby.brokers] },
      nowhere: { brokers: [nowhere] },
    },
    flows: flows.map(flow => ({ to: 'standby', ...flow })),
  }
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(document))
  return path
}

/** A broker that takes connections and never answers. */
async function startSilentServer(): Promise<{ address: string }> {
  const sockets = new Set<{ destroy(): void }>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
  })
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { address: `127.0.0.1:${address.port}` }
}
