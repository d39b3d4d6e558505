// The artefacts of `npm run package` as Lambda would run them: AWS's own runtime interface client
// loads the bundle, with the variables that the template gives each function, on real brokers and a
// real table. The AWS requests of the functions are compared with the permissions of their roles.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UpdateItemCommand } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { packageFunctions } from '../../infra/package.ts'
import { crashNoticeMinMs } from '../../lib/core/config/defaults.ts'
import { authorizationDenied, unreachable } from '../../lib/core/partition/incidents.ts'
import { type Worker, workerKey } from '../../lib/core/row/worker-row.ts'
import { createGroupAdmin } from '../../lib/io/admin/group-admin.ts'
import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/table/incident-store.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { createWorkerStore } from '../../lib/io/table/worker-store.ts'
import { fetchLambdaRuntime } from '../../localstack/artifacts.ts'
import { findMissingBuildTools } from '../../localstack/processes/tools.ts'
import { until } from '../../localstack/processes/until.ts'
import {
  type EndedInvocation,
  type Outcome,
  type ScratchLambda,
  startScratchLambda,
} from '../../localstack/scratch/scratch-lambda.ts'
import {
  connectTo,
  createTopic,
  deleteRecords,
  produceBatches,
} from '../../localstack/scratch/topics.ts'
import { failureRecord, requestId } from '../support/failure-records.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { type Contents, contentsOf, records } from '../support/kafka/records.ts'
import { actionsOf, readTemplate, statementsOf, templateName } from '../support/stack-template.ts'
import { openSharedClusters } from '../support/worlds/shared-fixture.ts'
import type { SharedWorld } from '../support/worlds/shared-world.ts'

type Flow = { readonly name: string } & Record<string, unknown>
type Timeouts = {
  readonly planTimeoutMs?: number | undefined
  readonly replicateTimeoutMs?: number | undefined
}

const SLOW_MS_MAX = 120_000
/** The client's native part is compiled once on a machine: 2.5 minutes on a busy one. */
const COMPILE_MS_MAX = 900_000
const table = 'gapless-prod'
const names = {
  plan: 'gapless-prod-plan',
  watch: 'gapless-prod-watch',
  sync: 'gapless-prod-sync',
  replicate: 'gapless-prod-replicate',
}
const roles = {
  plan: 'PlanRole',
  watch: 'WatchRole',
  sync: 'SyncRole',
  replicate: 'ReplicateRole',
}
/** Replaces the reference to the alert topic in the template. */
const alertTopic = 'arn:aws:sns:us-east-1:000000000000:gapless-prod-alerts'
/** An address where no server listens. */
const nowhere = '127.0.0.1:9'

/** Programs for compiling the client's native part that are missing here: then all is skipped. */
let missing: string[] = []
let directory = ''
let taskRoot = ''
let runtime = ''
let primary: SharedWorld['source']
let standby: SharedWorld['target']
let aws: SharedWorld['aws']

beforeAll(async () => {
  missing = await findMissingBuildTools()
  if (missing.length > 0) return
  directory = mkdtempSync(join(tmpdir(), 'gapless-entrypoint-'))
  taskRoot = join(directory, 'image')
  const [clusters, fetched] = await Promise.all([openSharedClusters(), fetchLambdaRuntime()])
  ;({ source: primary, target: standby, aws } = clusters)
  runtime = fetched
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  client.destroy()
  const config = writeConfig('config.yml', [
    { name: 'image-copied' },
    { name: 'unreachable', from: 'nowhere' },
  ])
  await packageFunctions({ stage: 'prod', image: null, config, params: [], directory })
}, COMPILE_MS_MAX)
afterAll(() => {
  if (directory !== '') rmSync(directory, { recursive: true, force: true })
})

beforeEach(context => {
  if (missing.length > 0)
    context.skip(`aws-lambda-ric cannot be compiled: no ${missing.join(', ')}`)
})

test('a tick plans, its workers copy, and both functions answer with what they did', async () => {
  const lambda = await startLambda({})
  const contents = records(0, 200)
  await createTopic(connectTo(primary), 'image-copied.log', { partitions: 1 })
  await produce('image-copied.log', contents)

  const outcome = await lambda.invoke(names.plan, {})

  expect(outcome).toMatchObject({
    kind: 'succeeded',
    answer: {
      flows: [
        { name: 'image-copied', partitions: 1, shards: 1, halted: 0, unobserved: 0, joined: 0 },
        { name: 'unreachable', partitions: 0 },
      ],
    },
  })
  expect(await workersOf(lambda, 'image-copied', 1)).toMatchObject([
    {
      kind: 'succeeded',
      answer: { partitions: [{ topic: 'image-copied.log', recordsReplicated: '200' }] },
    },
  ])
  expect(contentsOf(await readStandby('image-copied.log'))).toEqual(contents)
})

test('a worker whose partition halts fails with the sentence, and its process serves the next invocation', async () => {
  const { lambda } = await startStage([{ name: 'image-halting' }])

  const [, halted] = await haltByTruncation(lambda, 'image-halting')

  expect(halted).toEqual({
    kind: 'failed',
    error: {
      errorType: 'Error',
      errorMessage: '1 of 1 partitions need attention: image-halting.log-0 halted',
    },
  })
  expect(lambda.log(names.replicate)).toContain(
    'CRITICAL: Log truncation detected for image-halting.log-0. Expected offset 200, but got 240.',
  )
  const client = createDynamoDbClient(aws.env)
  const { incidents } = await createIncidentStore(client, table).list('image-halting', 'all')
  client.destroy()
  expect(incidents).toMatchObject([{ kind: 'log-truncated', foundOffset: 240n }])
  expect(
    await lambda.invoke(names.replicate, { flow: 'image-halting', partitions: [] }),
  ).toMatchObject({
    kind: 'succeeded',
  })
  expect(lambda.processes(names.replicate)).toBe(1)
})

test('the watch function tells the alert topic of an incident once', async () => {
  const { lambda } = await startStage([{ name: 'image-told' }])
  await haltByTruncation(lambda, 'image-told')

  const first = await lambda.invoke(names.watch, {})
  const second = await lambda.invoke(names.watch, {})

  const told = (count: number) => {
    return { kind: 'succeeded', answer: { flows: [{ name: 'image-told', told: count }] } }
  }
  expect(first).toMatchObject(told(1))
  expect(second).toMatchObject(told(0))
  expect(lambda.published).toHaveLength(1)
  expect(lambda.published[0]).toContain('image-told.log')
})

test('a worker refuses an event that makes no sense, and its process serves the next one', async () => {
  const { lambda } = await startStage([{ name: 'image-refused' }])

  expect(await lambda.invoke(names.replicate, { flow: 'image-refused' })).toMatchObject({
    kind: 'failed',
    error: { errorMessage: expect.stringContaining('partitions') },
  })
  expect(
    await lambda.invoke(names.replicate, { flow: 'image-refused', partitions: [] }),
  ).toMatchObject({
    kind: 'succeeded',
  })
  expect(lambda.processes(names.replicate)).toBe(1)
})

test(
  'a continuous worker invokes its successor before its time is up, and the successor goes on',
  async () => {
    const { lambda } = await startStage([{ name: 'image-followed', mode: 'continuous' }])
    await createTopic(connectTo(primary), 'image-followed.log', { partitions: 1 })
    await produce('image-followed.log', records(0, 20))

    await lambda.invoke(names.plan, {})

    expect(await workersOf(lambda, 'image-followed', 1)).toMatchObject([
      {
        kind: 'succeeded',
        answer: { partitions: [{ topic: 'image-followed.log', recordsReplicated: '20' }] },
      },
    ])
    expect(lambda.actions(names.replicate)).toContain('lambda:InvokeFunction')
    await produce('image-followed.log', records(20, 20))
    await until('the successor has copied what came since', async () => {
      return (await readStandby('image-followed.log')).length === 40
    })
    expect(lambda.processes(names.replicate)).toBe(2)
  },
  SLOW_MS_MAX,
)

describe('a worker whose process is killed', () => {
  test(
    'is replaced at once by plan, which is told of it, and every record is copied once',
    async () => {
      const { lambda } = await startStage([{ name: 'replaced', mode: 'continuous' }], 120_000)
      await startCopying(lambda, 'replaced')
      await dateBack('replaced', crashNoticeMinMs)
      await produce('replaced.log', records(20, 20))

      lambda.kill(names.replicate)
      const [notice] = await noticesOf(lambda, 1)

      expect(notice).toMatchObject({
        payload: {
          requestContext: { condition: 'RetriesExhausted' },
          requestPayload: { flow: 'replaced' },
          responsePayload: { errorType: 'Runtime.ExitError' },
        },
        outcome: { kind: 'succeeded', answer: { flows: [{ name: 'replaced', shards: 1 }] } },
      })
      await until('the next worker has copied what is left', async () => {
        return (await readStandby('replaced.log')).length === 40
      })
      expect(contentsOf(await readStandby('replaced.log'))).toEqual(records(0, 40))
      expect(lambda.log(names.plan)).toContain('what it held is handed out now')
      // The tick's. A notice says nothing about the schedule.
      expect(lambda.log(names.plan).split('"Heartbeat":1').length - 1).toBe(1)
    },
    SLOW_MS_MAX,
  )

  test(
    'soon after its start is left to the schedule, and the tick goes on without a duplicate',
    async () => {
      const { lambda } = await startStage([{ name: 'crashing', mode: 'continuous' }], 120_000)
      await startCopying(lambda, 'crashing')
      await produce('crashing.log', records(20, 20))

      lambda.kill(names.replicate)
      const [notice] = await noticesOf(lambda, 1)

      expect(notice?.outcome).toEqual({ kind: 'succeeded', answer: { flows: [] } })
      expect(lambda.log(names.plan)).toContain('the next tick hands out what it held')
      expect(lambda.processes(names.replicate)).toBe(1)
      await lambda.invoke(names.plan, {})
      await until('the next worker has copied what is left', async () => {
        return (await readStandby('crashing.log')).length === 40
      })
      expect(contentsOf(await readStandby('crashing.log'))).toEqual(records(0, 40))
    },
    SLOW_MS_MAX,
  )
})

test(
  'a worker that lives and is said to have failed ends in order, another one goes on, and no record is copied twice or late',
  async () => {
    const { lambda } = await startStage([{ name: 'slandered', mode: 'continuous' }], 120_000)
    await startCopying(lambda, 'slandered')
    const [living] = await dateBack('slandered', crashNoticeMinMs)
    let written = 20
    const write = async () => {
      await produce('slandered.log', records(written, 5))
      written += 5
    }

    // Lambda leaves out the event where it is too large, so the row of the worker tells the flow.
    const record = failureRecord(null, { id: String(living?.invocation), requestPayload: null })

    const [told] = await Promise.all([lambda.invoke(names.plan, record), write()])

    expect(told).toMatchObject({ answer: { flows: [{ name: 'slandered', shards: 1 }] } })
    await until('the worker that was slandered has ended', async () => {
      await write()
      return lambda.ended.some(each => each.name === names.replicate)
    })
    await write()
    await until('the next worker has copied what is left', async () => {
      return (await readStandby('slandered.log')).length === written
    })
    expect(contentsOf(await readStandby('slandered.log'))).toEqual(records(0, written))
    expect(lambda.processes(names.replicate)).toBe(2)
    const [first] = await workersOf(lambda, 'slandered', 1)
    expect(first).toMatchObject({
      kind: 'succeeded',
      // It learns of it by its next renewal, or by a checkpoint that the next worker overtook.
      answer: {
        partitions: [{ detail: expect.stringMatching(/declared ended|another run has acquired/) }],
      },
    })
  },
  SLOW_MS_MAX,
)

test('plan is told of a worker that fails for a halted partition, finds that it ended in order, and invokes none', async () => {
  const { lambda } = await startStage([{ name: 'orderly' }])

  await haltByTruncation(lambda, 'orderly')
  const [notice] = await noticesOf(lambda, 1)

  expect(notice?.outcome).toEqual({ kind: 'succeeded', answer: { flows: [] } })
  expect(lambda.log(names.plan)).toContain('it ended in order')
  expect(lambda.ended.filter(each => each.name === names.replicate)).toHaveLength(2)
})

test('plan does nothing for a record of itself or of an unknown worker, and fails with one sentence for an event that it does not know', async () => {
  const { lambda } = await startStage([{ name: 'asked' }, { name: 'asked-too' }])
  const nothingDone = { kind: 'succeeded', answer: { flows: [] } }

  for (const [event, line] of [
    [
      failureRecord(null, { functionName: names.plan }),
      'only workers (gapless-prod-replicate) are replaced',
    ],
    [failureRecord(null, { requestPayload: { flow: 'gone' } }), 'flow gone, which the'],
    [failureRecord(null, { requestPayload: null }), `invocation ${requestId} of a worker of flow`],
    [
      { kind: 'worker-ended', flow: 'asked', worker: 'w-9' },
      'Worker w-9 of flow asked holds nothing',
    ],
  ] as const) {
    expect(await lambda.invoke(names.plan, event)).toEqual(nothingDone)
    expect(lambda.log(names.plan)).toContain(line)
  }
  expect(await lambda.invoke(names.plan, { flow: 'asked' })).toMatchObject({
    kind: 'failed',
    error: { errorMessage: expect.stringMatching(/^plan does not know this event: [^\n]+$/) },
  })
  expect(await lambda.invoke(names.plan, {})).toMatchObject({ kind: 'succeeded' })
  expect(lambda.processes(names.plan)).toBe(1)
})

describe('the roles of the template', () => {
  let lambda: ScratchLambda

  // All kinds of AWS requests of the functions: invoking workers, checkpoints, an incident of each
  // function, a notification, and invoking a successor.
  beforeAll(async () => {
    if (missing.length > 0) return
    const stage = await openStage([
      { name: 'image-halted-role' },
      { name: 'image-followed-role', mode: 'continuous' },
      { name: 'image-unreachable-role', from: 'nowhere' },
    ])
    lambda = stage.lambda
    await openIncidents('image-halted-role')
    await createTopic(connectTo(primary), 'image-followed-role.log', { partitions: 1 })
    await haltByTruncation(lambda, 'image-halted-role')
    await lambda.invoke(names.watch, {})
    await until('the worker has invoked its successor', async () => {
      return lambda.actions(names.replicate).includes('lambda:InvokeFunction')
    })
    await commitOffset('group-of-image-followed-role', 'image-followed-role.log')
    await lambda.invoke(names.sync, {})
    return () => lambda.stop()
  }, SLOW_MS_MAX)

  for (const door of ['plan', 'watch', 'sync', 'replicate'] as const) {
    const name = names[door]
    test(`the role of ${door} allows what the function asks of AWS, and nothing else`, () => {
      const { resources } = readTemplate(join(directory, 'cloudformation', templateName))
      const role = resources[roles[door]]
      if (role === undefined) throw new Error('the role is missing')
      const allowed = actionsOf(statementsOf(role)).filter(
        each => !/^(?:logs|sqs|events):/.test(each),
      )
      const asked = lambda.actions(name)
      // The anchors of a partition are a row of their own, which few translations need, and the
      // checkpoints of a deleted topic are removed a day after the deletion was seen.
      const rare = ['dynamodb:GetItem', 'dynamodb:DeleteItem']
      const isRare = (each: string) => door === 'sync' && rare.includes(each)
      // One action may be allowed by several statements, each for rows of its own.
      expect(asked).toEqual(
        [...new Set(allowed)].filter(each => asked.includes(each) || !isRare(each)),
      )
    })
  }
})

test('an invocation that has not ended in its time is killed, and the next one gets a new process', async () => {
  const hung = await startHungServer()
  writeConfig('image/hung.yml', [{ name: 'image-hung' }], hung.address)
  const late = await startLambda({ GAPLESS_CONFIG: 'hung.yml' }, { planTimeoutMs: 1_000 })

  expect(await late.invoke(names.plan, {})).toEqual({ kind: 'timed-out' })
  expect(await late.invoke(names.plan, {})).toEqual({ kind: 'timed-out' })
  expect(late.processes(names.plan)).toBe(2)
})

test('a configuration that cannot be used fails every start of a function with one line', async () => {
  writeConfig('image/wrong.yml', [{ name: 'x', workers: 3 }])
  const wrong = await startLambda({ GAPLESS_CONFIG: 'wrong.yml' })

  const outcome = await wrong.invoke(names.replicate, {})

  if (outcome.kind !== 'init-failed') throw new Error(`it ${outcome.kind}`)
  expect(outcome.error.errorType).toBe('ConfigError')
  expect(outcome.error.errorMessage).toMatch(/^wrong\.yml:1: flows\[0\]\.workers is not [^\n]+$/)
  expect(await wrong.invoke(names.replicate, {})).toEqual(outcome)
})

test('a function whose configuration is missing fails its start and names the file', async () => {
  const missing = await startLambda({ GAPLESS_CONFIG: 'gapless-prod.yml' })

  expect(await missing.invoke(names.plan, {})).toMatchObject({
    kind: 'init-failed',
    error: {
      errorType: 'ConfigError',
      errorMessage: expect.stringMatching(/^gapless-prod\.yml: no such file; [^\n]+$/),
    },
  })
})

/**
 * Opens two incidents that are over: `plan` ends the one when the cluster answers, and a worker the
 * other when it copies; `watch` tells of both.
 */
async function openIncidents(flow: string): Promise<void> {
  const client = createDynamoDbClient(aws.env)
  const incidents = createIncidentStore(client, table)
  const about = { flow, cluster: 'primary', detail: 'no answer', detectedAtMs: 1 }
  await incidents.record(unreachable({ ...about, topic: null }))
  const denied = { ...about, topic: `${flow}.log`, foundCopying: true }
  await incidents.record(authorizationDenied(denied))
  client.destroy()
}

/** A group of the source that has read nothing yet. */
async function commitOffset(group: string, topic: string): Promise<void> {
  const config = { brokers: [primary.brokers], tls: false as const }
  const cluster = openCluster({ name: 'primary', config, requestTimeoutMs: 10_000 })
  const offset = { topic, partition: 0, offset: 0n, metadata: null }
  await createGroupAdmin(cluster).commitOffsets(group, [offset])
  await cluster.close()
}

/** A continuous worker runs, and has copied the 20 records of the flow's topic. */
async function startCopying(lambda: ScratchLambda, flow: string): Promise<void> {
  const topic = `${flow}.log`
  await createTopic(connectTo(primary), topic, { partitions: 1 })
  await produce(topic, records(0, 20))
  expect(await lambda.invoke(names.plan, {})).toMatchObject({ kind: 'succeeded' })
  await until('the first worker has copied what there was', async () => {
    return (await readStandby(topic)).length === 20
  })
}

/** As if the worker of a flow had begun so much earlier. */
async function dateBack(flow: string, byMs: number): Promise<readonly Worker[]> {
  const client = createDynamoDbClient(aws.env)
  const { workers } = await createWorkerStore(client, table).list(flow)
  for (const each of workers) {
    const update = new UpdateItemCommand({
      TableName: table,
      Key: workerKey(each),
      UpdateExpression: 'SET beganAtMs = beganAtMs - :by',
      ExpressionAttributeValues: { ':by': { N: String(byMs) } },
    })
    await client.send(update)
  }
  client.destroy()
  expect(workers).toHaveLength(1)
  return workers
}

/** The first `count` invocations of `plan` with a record of a failure, once they have ended. */
async function noticesOf(lambda: ScratchLambda, count: number): Promise<EndedInvocation[]> {
  const ended = () =>
    lambda.ended.filter(({ name, payload }) => {
      return name === names.plan && 'requestContext' in (payload as object)
    })
  await until(`plan was told of ${count} failures`, async () => ended().length >= count)
  return ended()
}

/** The outcomes of a flow's workers, once `count` of them have ended. */
async function workersOf(lambda: ScratchLambda, flow: string, count: number): Promise<Outcome[]> {
  const ended = () =>
    lambda.ended
      .filter(({ name, payload }) => {
        return name === names.replicate && (payload as { flow: string }).flow === flow
      })
      .map(each => each.outcome)
  await until(`${count} workers of ${flow} have ended`, async () => ended().length >= count)
  return ended()
}

/**
 * Copies 200 records of the flow's topic, deletes others before they are copied, and lets a tick
 * detect the truncation. Returns the outcomes of both workers.
 */
async function haltByTruncation(lambda: ScratchLambda, flow: string): Promise<Outcome[]> {
  const topic = `${flow}.log`
  await createTopic(connectTo(primary), topic, { partitions: 1 })
  await produce(topic, records(0, 200))
  expect(await lambda.invoke(names.plan, {})).toMatchObject({ kind: 'succeeded' })
  await workersOf(lambda, flow, 1)
  await produce(topic, records(200, 50))
  await deleteRecords(connectTo(primary), { topic, partition: 0, offset: 240 })
  expect(await lambda.invoke(names.plan, {})).toMatchObject({ kind: 'succeeded' })
  return workersOf(lambda, flow, 2)
}

function produce(topic: string, contents: Contents[]): Promise<void> {
  return produceBatches(connectTo(primary), { topic, partition: 0 }, [contents])
}

function readStandby(topic: string) {
  return readPartition(connectTo(standby), { topic: `primary.${topic}`, partition: 0 })
}

/** Starts functions for one test with these flows: tests share neither processes nor logs. */
async function startStage(
  flows: readonly Flow[],
  replicateTimeoutMs?: number,
): Promise<{ lambda: ScratchLambda }> {
  const stage = await openStage(flows, replicateTimeoutMs)
  onTestFinished(() => stage.lambda.stop())
  return stage
}

async function openStage(
  flows: readonly Flow[],
  replicateTimeoutMs?: number,
): Promise<{ lambda: ScratchLambda }> {
  const file = `${flows[0]?.name}.yml`
  writeConfig(join('image', file), flows)
  return { lambda: await openLambda({ GAPLESS_CONFIG: file }, { replicateTimeoutMs }) }
}

/** Functions for one test, which are stopped when it ends. */
async function startLambda(...args: Parameters<typeof openLambda>): Promise<ScratchLambda> {
  const lambda = await openLambda(...args)
  onTestFinished(() => lambda.stop())
  return lambda
}

function openLambda(
  variables: Record<string, string>,
  // With Lambda's 900 s the test of the hand-over would be too long.
  { planTimeoutMs = 120_000, replicateTimeoutMs = 20_000 }: Timeouts = {},
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
      [names.sync]: settingsOf('SyncLambdaFunction', 120_000),
      [names.replicate]: settingsOf('ReplicateLambdaFunction', replicateTimeoutMs),
    },
    notices: { failuresOf: names.replicate, toldTo: names.plan },
  })
}

function writeConfig(file: string, flows: readonly Flow[], source = primary.brokers): string {
  const path = join(directory, file)
  const document = {
    clusters: {
      primary: { brokers: [source] },
      standby: { brokers: [standby.brokers] },
      nowhere: { brokers: [nowhere] },
    },
    flows: flows.map(flow => {
      return { from: 'primary', to: 'standby', topics: [`/^${flow.name}\\..*/`], ...flow }
    }),
  }
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(document))
  return path
}

/** A broker that accepts connections and never answers. */
async function startHungServer(): Promise<{ address: string }> {
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
