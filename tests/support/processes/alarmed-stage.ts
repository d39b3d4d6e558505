// The stage's alarms in LocalStack, deployed by CloudFormation from the list from which
// infra/alarms.yml is generated, with shorter periods; and a queue that receives the notifications
// of the alert topic.

import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackResourceCommand,
  waitUntilStackCreateComplete,
} from '@aws-sdk/client-cloudformation'
import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch'
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { alarmResources, alertTopicId } from '../../../infra/alarms.ts'
import { dashboardResources } from '../../../infra/dashboard.ts'
import type { Endpoints } from '../../../localstack/scratch/brokers.ts'

/** The shortest period that LocalStack evaluates. */
const PERIOD_S = 10
const STACK_SECONDS_MAX = 120
const LISTEN_SECONDS = 1

export type Told = { readonly subject: string; readonly text: string }
export type AlarmedStage = Awaited<ReturnType<typeof deployAlarms>>

export async function deployAlarms({ endpoint, env }: Endpoints, stage: string) {
  const options = {
    endpoint,
    region: env.AWS_REGION ?? '',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  }
  const cloudWatch = new CloudWatchClient(options)
  const topicArn = await createStack(new CloudFormationClient(options), stage)
  const queue = await listenTo(topicArn, new SNSClient(options), new SQSClient(options))
  const heard: Told[] = []
  return {
    cloudWatch,
    topicArn,
    /** OK, ALARM or INSUFFICIENT_DATA; `id` is the alarm's name without the stage. */
    async stateOf(id: string): Promise<string> {
      const command = new DescribeAlarmsCommand({
        AlarmNames: [`gapless-${stage}-${id}`],
        AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
      })
      const { MetricAlarms = [], CompositeAlarms = [] } = await cloudWatch.send(command)
      return String([...MetricAlarms, ...CompositeAlarms][0]?.StateValue)
    },
    /** All notifications so far, in the order of arrival. */
    async heard(): Promise<readonly Told[]> {
      for (const told of await queue.receive()) heard.push(told)
      return heard
    },
  }
}

async function createStack(client: CloudFormationClient, stage: string): Promise<string> {
  const StackName = `gapless-${stage}`
  const Resources = {
    ...alarmResources({ stage, periodS: PERIOD_S, periodsMax: 1 }),
    ...dashboardResources({ stage }),
  }
  const TemplateBody = JSON.stringify({ Resources })
  await client.send(new CreateStackCommand({ StackName, TemplateBody }))
  const waiting = { client, maxWaitTime: STACK_SECONDS_MAX, minDelay: 1, maxDelay: 1 }
  await waitUntilStackCreateComplete(waiting, { StackName })
  const resource = { StackName, LogicalResourceId: alertTopicId }
  const { StackResourceDetail } = await client.send(new DescribeStackResourceCommand(resource))
  return String(StackResourceDetail?.PhysicalResourceId)
}

async function listenTo(topicArn: string, sns: SNSClient, sqs: SQSClient) {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'alerts' }))
  const attributes = { QueueUrl, AttributeNames: ['QueueArn' as const] }
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand(attributes))
  const Endpoint = Attributes?.QueueArn
  await sns.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: 'sqs', Endpoint }))
  return {
    async receive(): Promise<Told[]> {
      const asked = { QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: LISTEN_SECONDS }
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand(asked))
      for (const { ReceiptHandle } of Messages) {
        await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
      }
      return Messages.map(({ Body }) => {
        const { Subject, Message } = JSON.parse(Body ?? '{}') as Record<string, string>
        return { subject: Subject ?? '', text: Message ?? '' }
      })
    },
  }
}
