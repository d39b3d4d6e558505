// The event bus that carries the record of a failed worker, with the queue and the rule of the
// template, deployed to LocalStack by CloudFormation. LocalStack would need Docker for a function,
// so a second queue stands where `plan` is a target.

import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackResourceCommand,
  waitUntilStackCreateComplete,
} from '@aws-sdk/client-cloudformation'
import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { beforeAll, expect, test } from 'vitest'
import { readPlanEvent } from '../../functions/plan-event.ts'
import { until } from '../../localstack/processes/until.ts'
import { canStartLocalStack } from '../../localstack/scratch/brokers.ts'
import { type FailureRecord, workerEvent, workerFailures } from '../support/failure-records.ts'
import { exampleImage, packageStage, type Resource } from '../support/stack-template.ts'
import { openSharedLocalStack } from '../support/worlds/shared-fixture.ts'

const EVENTUALLY_MS_MAX = 60_000
const STACK_SECONDS_MAX = 120
const stack = 'gapless-prod'
const bus = 'gapless-prod-failures'

type Sent = { readonly source: string; readonly detailType: string; readonly detail: unknown }

let stage: Awaited<ReturnType<typeof deployBus>> | null = null

beforeAll(async () => {
  if (!(await canStartLocalStack())) return
  const [{ endpoint }, template] = await Promise.all([
    openSharedLocalStack(),
    packageStage('prod', { image: exampleImage }),
  ])
  template.remove()
  stage = await deployBus(endpoint, template.resources)
})

test('people and plan get the record of each failed worker, as Lambda made it', async context => {
  if (stage === null) return context.skip('no LocalStack: it needs Python 3.11')
  const records = Object.values(workerFailures).map(each => each.record)

  for (const record of records) await stage.put(asLambdaSends(record))

  const forPeople = await stage.received('FailuresQueue', records.length)
  const forPlan = await stage.received('PlanQueue', records.length)
  expect(forPeople.toSorted(byText)).toEqual(records.toSorted(byText))
  expect(forPlan.toSorted(byText)).toEqual(records.toSorted(byText))
  for (const record of forPlan) {
    expect(readPlanEvent(record, 'gapless-prod-replicate')).toMatchObject({
      kind: 'notice',
      flow: workerEvent.flow,
    })
  }
})

test('an event on the bus that is no record of a failure reaches nobody', async context => {
  if (stage === null) return context.skip('no LocalStack: it needs Python 3.11')
  const record = workerFailures['a time-out'].record

  await stage.put({ ...asLambdaSends(record), source: 'somebody' })
  await stage.put({
    ...asLambdaSends(record),
    detailType: 'Lambda Function Invocation Result - Success',
  })
  // The event behind them: once it has arrived, they would have.
  await stage.put(asLambdaSends({ ...record, version: 'last' }))

  for (const name of ['FailuresQueue', 'PlanQueue'] as const) {
    expect(await stage.received(name, 1)).toEqual([{ ...record, version: 'last' }])
  }
})

/** What Lambda puts on an event bus that is the destination of a function. */
function asLambdaSends(detail: FailureRecord | object): Sent {
  return { source: 'lambda', detailType: 'Lambda Function Invocation Result - Failure', detail }
}

async function deployBus(endpoint: string, all: Readonly<Record<string, Resource>>) {
  const options = {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  }
  const cloudFormation = new CloudFormationClient(options)
  const queueUrls = await createStack(cloudFormation, all)
  const sqs = new SQSClient(options)
  return {
    put: (sent: Sent) => putEvent(endpoint, sent),
    /** The bodies of the next `count` entries of a queue, in no order. */
    async received(name: keyof typeof queueUrls, count: number): Promise<object[]> {
      const QueueUrl = queueUrls[name]
      const bodies: object[] = []
      const enough = async () => {
        const asked = { QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }
        const { Messages = [] } = await sqs.send(new ReceiveMessageCommand(asked))
        for (const { Body, ReceiptHandle } of Messages) {
          bodies.push(JSON.parse(Body ?? ''))
          await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
        }
        return bodies.length >= count
      }
      await until(`${count} records are in ${name}`, enough, EVENTUALLY_MS_MAX)
      return bodies
    },
  }
}

async function createStack(
  client: CloudFormationClient,
  all: Readonly<Record<string, Resource>>,
): Promise<{ readonly FailuresQueue: string; readonly PlanQueue: string }> {
  const { FailuresBus, FailedWorkerRule, FailuresQueue } = all
  const rule = JSON.stringify(FailedWorkerRule).replace('PlanLambdaFunction', 'PlanQueue')
  const Resources = {
    FailuresBus,
    FailuresQueue,
    FailedWorkerRule: JSON.parse(rule),
    PlanQueue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'plan' } },
  }
  const TemplateBody = JSON.stringify({ Resources })
  await client.send(new CreateStackCommand({ StackName: stack, TemplateBody }))
  const waiting = { client, maxWaitTime: STACK_SECONDS_MAX, minDelay: 1, maxDelay: 1 }
  await waitUntilStackCreateComplete(waiting, { StackName: stack })
  const urlOf = async (LogicalResourceId: string) => {
    const asked = new DescribeStackResourceCommand({ StackName: stack, LogicalResourceId })
    const { StackResourceDetail } = await client.send(asked)
    return String(StackResourceDetail?.PhysicalResourceId)
  }
  return { FailuresQueue: await urlOf('FailuresQueue'), PlanQueue: await urlOf('PlanQueue') }
}

/** One request of EventBridge's API, whose client would be one more dependency. */
async function putEvent(endpoint: string, { source, detailType, detail }: Sent): Promise<void> {
  const entry = { EventBusName: bus, Source: source, DetailType: detailType }
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/x-amz-json-1.1',
      'X-Amz-Target': 'AWSEvents.PutEvents',
      Authorization: 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/events/aws4_request',
    },
    body: JSON.stringify({ Entries: [{ ...entry, Detail: JSON.stringify(detail) }] }),
  })
  expect(await response.json()).toMatchObject({ FailedEntryCount: 0 })
}

function byText(one: object, other: object): number {
  return JSON.stringify(one).localeCompare(JSON.stringify(other))
}
