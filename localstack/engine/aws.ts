// The AWS endpoints of the local stack as processes of this machine: LocalStack where Python 3.11
// exists, otherwise DynamoDB Local. Callers know only the endpoint's address.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchDynamoDbLocal, fetchLocalStack } from '../artifacts.ts'
import { type HttpService, startHttpService } from '../processes/http-service.ts'
import type { OnSpawn } from '../processes/os-process.ts'
import { localAddress } from '../processes/ports.ts'
import { type Report, reportToStandardError, StackError } from '../processes/stack-error.ts'
import { findPython } from '../processes/tools.ts'
import { startDynamoDbLocal } from './dynamodb-local.ts'
import { layOutLocalStackFiles } from './localstack-files.ts'

export type AwsFlavour = 'localstack' | 'dynamodb-local'

export type AwsOptions = {
  flavour: AwsFlavour
  port: number
  /** The folder of the log and of LocalStack's files. */
  dir: string
  /** true: the endpoints outlive this process. Default false: they are killed with it. */
  detached?: boolean
  onSpawn?: OnSpawn | undefined
  report?: Report
}

/** The services that gapless and its tests use; each further one lengthens LocalStack's start. */
const services = [
  ...[
    'dynamodb',
    'dynamodbstreams',
    'cloudwatch',
    'logs',
    'sns',
    'sqs',
    'cloudformation',
    'lambda',
  ],
  ...['events', 'scheduler', 'ssm', 'secretsmanager', 'sts', 'iam', 's3', 'kms'],
]

/**
 * `GAPLESS_AWS` (`localstack` or `dynamodb-local`) decides. Unset: LocalStack where Python 3.11
 * exists; otherwise DynamoDB Local, and a line of progress says what is missing then.
 * @throws StackError when `GAPLESS_AWS` has another value.
 */
export async function chooseAwsFlavour(report: Report): Promise<AwsFlavour> {
  const wanted = process.env.GAPLESS_AWS
  if (wanted === 'localstack' || wanted === 'dynamodb-local') return wanted
  if (wanted !== undefined && wanted !== '') {
    throw new StackError(
      `GAPLESS_AWS is "${wanted}", but must be "localstack" or "dynamodb-local".`,
      'Correct it, or unset it.',
    )
  }
  if ((await findPython()) !== undefined) return 'localstack'
  report(
    'Python 3.11 was not found, so the AWS endpoints are DynamoDB Local: replication and ' +
      'detection work the same; CloudWatch alarms, SNS, SQS and CloudFormation are missing.',
  )
  return 'dynamodb-local'
}

/**
 * Downloads what `startAws` needs, so that waiting for it does not look like a slow start.
 * @throws StackError
 */
export async function fetchAws(flavour: AwsFlavour, report: Report): Promise<void> {
  // LocalStack itself runs DynamoDB Local for its tables.
  await fetchDynamoDbLocal(report)
  if (flavour === 'localstack') await fetchLocalStack(report)
}

/**
 * Starts the endpoints and waits until they answer.
 * @throws StackError with a remedy when they do not.
 */
export async function startAws(options: AwsOptions): Promise<HttpService> {
  if (options.flavour === 'dynamodb-local') return startDynamoDbLocal(options)
  const report = options.report ?? reportToStandardError
  const python = join(await fetchLocalStack(report), 'bin', 'python')
  const root = join(options.dir, 'localstack')
  await mkdir(root, { recursive: true })
  await layOutLocalStackFiles({ root, python, report })
  return startHttpService({
    label: 'LocalStack',
    command: python,
    args: ['-m', 'localstack.runtime.main'],
    env: createEnvironment({ root, address: `${localAddress}:${options.port}` }),
    port: options.port,
    healthPath: awsHealthPaths.localstack,
    logFile: join(options.dir, 'localstack.log'),
    detached: options.detached ?? false,
    onSpawn: options.onSpawn,
    remedy: 'GAPLESS_AWS=dynamodb-local runs the stack without LocalStack (and without alarms).',
  })
}

/** The path of each flavour's health check. */
export const awsHealthPaths: Record<AwsFlavour, string> = {
  localstack: '/_localstack/health',
  'dynamodb-local': '/',
}

function createEnvironment(localStack: { root: string; address: string }): NodeJS.ProcessEnv {
  const ours = {
    FILESYSTEM_ROOT: localStack.root,
    GATEWAY_LISTEN: localStack.address,
    SERVICES: services.join(','),
    // LocalStack's plugin loader caches entry points there; the user's cache folder may belong to
    // another version.
    XDG_CACHE_HOME: join(localStack.root, 'cache'),
    // In a container (/.dockerenv) LocalStack would use the paths of its own image.
    OVERRIDE_IN_DOCKER: '0',
    DNS_ADDRESS: '0',
    SKIP_SSL_CERT_DOWNLOAD: '1',
    DISABLE_EVENTS: '1',
    EAGER_SERVICE_LOADING: '0',
    ACTIVATE_PRO: '0',
    DYNAMODB_IN_MEMORY: '1',
    DDB_LOCAL_TELEMETRY: '0',
  }
  const inherited = { ...process.env }
  // LocalStack is an AWS client itself (of its own DynamoDB) and would follow the variable.
  delete inherited.AWS_ENDPOINT_URL
  return { ...inherited, ...ours }
}
