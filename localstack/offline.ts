// The functions on this machine: the real serverless command line with serverless-offline, one
// process that schedules the functions and serves Lambda's Invoke API. Owns starting, invoking and
// stopping that process; not the brokers and AWS endpoints (stack.ts).

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { configPath } from '../lib/io/config/config-file.ts'
import {
  createAwsEnvironment,
  portVariables,
  projectDirectory,
  type StackSettings,
  serviceNames,
} from './engine/stack-settings.ts'
import { startFailureNotices } from './lambda/failure-notices.ts'
import { startHttpService } from './processes/http-service.ts'
import {
  isRunning,
  killProcess,
  type OnSpawn,
  type ProcessIdentity,
} from './processes/os-process.ts'
import { describePortHolder, findFreePort, isPortFree, localAddress } from './processes/ports.ts'
import { StackError } from './processes/stack-error.ts'

export type Invocation =
  | { readonly kind: 'succeeded'; readonly answer: unknown }
  /** The function rejected; `reason` is its error's message. */
  | { readonly kind: 'failed'; readonly reason: string }

type FunctionName = 'plan' | 'replicate' | 'watch' | 'sync'

export type OfflineFunctions = ProcessIdentity & {
  /** Lambda's Invoke API, for AWS_ENDPOINT_URL_LAMBDA. */
  readonly endpoint: string
  readonly logFile: string
  /**
   * Invokes a function and waits for its end. @throws StackError when the process ends meanwhile.
   */
  invoke(name: FunctionName, payload?: unknown): Promise<Invocation>
  isRunning(): boolean
  /** SIGTERM, then SIGKILL after 20 s. An invocation under way is cut off. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

const stage = 'local'
const defaultLambdaPort = 3002
const endPollMs = 100
const endPollsMax = 10
const logLinesMax = 12
const logLineCharactersMax = 300

function functionNameOf(name: FunctionName): string {
  return `gapless-${stage}-${name}`
}

/** The log of serverless-offline and of the functions. */
export function functionsLogFile(settings: StackSettings): string {
  return join(settings.directory, 'functions', 'functions.log')
}

/** An environment that uses the stack's endpoints and never the caller's own AWS account. */
export function createStackEnvironment(
  settings: StackSettings,
  env: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const inherited = { ...env }
  // Each of these variables would override a variable of createAwsEnvironment.
  delete inherited.AWS_ENDPOINT_URL_DYNAMODB
  delete inherited.AWS_PROFILE
  delete inherited.AWS_SESSION_TOKEN
  const ports = serviceNames.map(name => [portVariables[name], String(settings.ports[name])])
  return {
    ...inherited,
    ...Object.fromEntries(ports),
    ...createAwsEnvironment(settings),
    // serverless.yml would use an empty variable as a file name.
    GAPLESS_CONFIG: configPath(env),
  }
}

/**
 * Starts the functions on the stack of `settings` and waits until they can be invoked. Their
 * schedule runs from then on. They are killed when this process ends in any way. The working
 * directory must be the project's: serverless looks for serverless.yml only there.
 * @throws StackError when the port is taken, or the process dies or does not answer at its start.
 */
export async function startFunctions(options: {
  settings: StackSettings
  /** The port of Lambda's Invoke API. */
  port: number
  /** Added to the environment, or replacing variables of it. */
  env?: Record<string, string>
  /** Replace the params of serverless.yml, by name. */
  params?: Readonly<Record<string, string>>
  /** Default: `functionsLogFile`. */
  logFile?: string
  onSpawn?: OnSpawn
}): Promise<OfflineFunctions> {
  const { settings, port, env = {}, params = {}, onSpawn } = options
  const endpoint = `http://${localAddress}:${port}`
  const notices = await startFailureNotices({
    endpoint,
    failuresOf: functionNameOf('replicate'),
    toldTo: functionNameOf('plan'),
  })
  const service = await startHttpService({
    label: 'serverless-offline',
    command: process.execPath,
    args: [
      join(projectDirectory, 'node_modules', 'serverless', 'bin', 'serverless.js'),
      ...['offline', 'start', '--stage', stage],
      ...Object.entries(params).flatMap(([name, value]) => ['--param', `${name}=${value}`]),
    ],
    env: {
      ...createStackEnvironment(settings),
      ...env,
      // serverless.yml reads the port, the SDK in `plan` and `replicate` the endpoint.
      GAPLESS_LAMBDA_PORT: String(port),
      AWS_ENDPOINT_URL_LAMBDA: notices.endpoint,
    },
    port,
    healthPath: '/',
    logFile: options.logFile ?? functionsLogFile(settings),
    detached: false,
    onSpawn,
    remedy: 'Correct the cause and try again.',
  }).catch(async error => {
    await notices.stop()
    throw error
  })
  const client = createInvocationClient(endpoint)
  const { pid, startedAt, logFile } = service
  const end = async (how: () => Promise<void>) => {
    client.destroy()
    await how()
    await notices.stop()
  }
  return {
    pid,
    startedAt,
    endpoint,
    logFile,
    async invoke(name, payload = {}) {
      try {
        return await invoke(client, functionNameOf(name), payload)
      } catch (error) {
        if (await hasEndedSoon(service)) throw await describeDeath(service)
        throw error
      }
    },
    isRunning: () => isRunning(service),
    stop: () => end(service.stop),
    kill: () => end(() => killProcess(service)),
  }
}

/**
 * The port for Lambda's Invoke API: GAPLESS_LAMBDA_PORT, otherwise 3002, otherwise a free one.
 * @throws StackError when GAPLESS_LAMBDA_PORT is no port, or taken.
 */
export async function chooseLambdaPort(env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const wanted = env.GAPLESS_LAMBDA_PORT
  if (wanted === undefined || wanted === '') {
    return (await isPortFree(defaultLambdaPort)) ? defaultLambdaPort : findFreePort()
  }
  const port = Number(wanted)
  if (!Number.isInteger(port) || port <= 0 || port > 65_535) {
    throw new StackError(
      `GAPLESS_LAMBDA_PORT is "${wanted}", but must be a port between 1 and 65535.`,
      `Correct it, or unset it for ${defaultLambdaPort} or a free one.`,
    )
  }
  if (await isPortFree(port)) return port
  throw new StackError(
    `The functions cannot start: ${localAddress}:${port} is already in use` +
      `${describePortHolder(port)}.`,
    'Stop that process, set GAPLESS_LAMBDA_PORT to another port, or unset it for a free one.',
  )
}

function createInvocationClient(endpoint: string): LambdaClient {
  return new LambdaClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    // No time-out: an invocation lasts as long as its function. No retry: it would hide a failure.
    // Each invocation has a connection of its own, because the server closes an idle connection
    // after 5 s, and an invocation sent at that moment would break.
    maxAttempts: 1,
    requestHandler: { requestTimeout: 0, httpAgent: { keepAlive: false } },
  })
}

async function invoke(
  client: LambdaClient,
  functionName: string,
  payload: unknown,
): Promise<Invocation> {
  const answer = await client.send(
    new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(payload) }),
  )
  const text = answer.Payload?.transformToString() ?? ''
  const parsed: unknown = text === '' ? null : JSON.parse(text)
  if (answer.FunctionError === undefined) return { kind: 'succeeded', answer: parsed }
  const { errorMessage } = parsed as { errorMessage?: string }
  return { kind: 'failed', reason: errorMessage || answer.FunctionError }
}

/** A connection may break a moment before its process is known to have ended. */
async function hasEndedSoon(process: ProcessIdentity): Promise<boolean> {
  for (let poll = 0; poll < endPollsMax && isRunning(process); poll += 1) await delay(endPollMs)
  return !isRunning(process)
}

/** The error for a process that ended by itself, with the end of its log. */
export async function describeDeath(process: {
  readonly pid: number
  readonly logFile: string
}): Promise<StackError> {
  const { pid, logFile } = process
  const tail = (await readLogTail(logFile)).map(line => `\n  ${line}`).join('')
  return new StackError(
    `The functions (serverless-offline, pid ${pid}) have died.`,
    `The end of their log ${logFile}:${tail}`,
  )
}

/** The last lines of the functions' log, without metrics, long lines cut. */
export async function readLogTail(logFile: string): Promise<string[]> {
  const lines = (await readFile(logFile, 'utf8')).split('\n').filter(isNoMetric)
  return lines.slice(-logLinesMax).map(line => line.slice(0, logLineCharactersMax))
}

function isNoMetric(line: string): boolean {
  return line.trim() !== '' && !line.startsWith('{"_aws":')
}

/** The texts of the functions' log lines at every level, in order. */
export async function readLoggedTexts(logFile: string): Promise<string[]> {
  // Drops the text behind the last line end: that line is still being written.
  const lines = (await readFile(logFile, 'utf8')).split('\n').slice(0, -1)
  return lines.flatMap(line => {
    if (!line.startsWith('{"level":')) return []
    const { message } = JSON.parse(line) as { message: string }
    return [message]
  })
}
