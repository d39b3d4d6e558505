// Lambda, as far as a function can tell: for each invocation a process of AWS's own runtime
// interface client with the bundled handler, which asks this program for work over Lambda's Runtime
// API and is killed when its time is up; the Invoke API for every caller; and all of it in front of
// a stand-in of DynamoDB, so that what each function asks of AWS is known. Owns no judgement.
//
// A failed asynchronous invocation of `failuresOf` is told to `toldTo`, as the event bus of
// infra/failures.yml does.
//
// What it is not: the base image (Amazon Linux, its build of Node, arm64), a processor's share, the
// freezing of idle processes, retries, and permissions that are refused.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { createFailureRecord, type FunctionFailure } from '../lambda/failure-record.ts'
import { awsActionsOf, isPublish } from './aws-actions.ts'

export type Outcome =
  | { readonly kind: 'succeeded'; readonly answer: unknown }
  | { readonly kind: 'failed'; readonly error: FunctionFailure }
  /** The module could not be loaded: no invocation reached it. */
  | { readonly kind: 'init-failed'; readonly error: FunctionFailure }
  | { readonly kind: 'timed-out' }

export type FunctionSettings = {
  /** `plan.handler`, as in the image's command. */
  readonly handler: string
  readonly timeoutMs: number
  readonly variables: Readonly<Record<string, string>>
}

export type EndedInvocation = {
  readonly name: string
  readonly payload: unknown
  readonly outcome: Outcome
}

export type ScratchLambda = {
  /** One invocation to its end, in an idle process or a new one. */
  invoke(name: string, payload: unknown): Promise<Outcome>
  /** Every invocation that has ended so far, including those that functions requested. */
  readonly ended: readonly EndedInvocation[]
  /** How many processes were started for a function. */
  processes(name: string): number
  /** SIGKILL to every process of a function, as Lambda does when one runs out of memory. */
  kill(name: string): void
  /** What a function asked of AWS, by the names that permissions have, sorted. */
  actions(name: string): string[]
  /** The subjects of what was published to a topic, in order. */
  readonly published: readonly string[]
  /** Everything a function wrote to its log. */
  log(name: string): string
  stop(): Promise<void>
}

type Work = {
  readonly requestId: string
  readonly payload: string
  readonly end: (outcome: Outcome) => void
}

type Sandbox = {
  run(work: Work): void
  isIdle(): boolean
  kill(): void
  stop(): Promise<void>
}

const timeOutSlackMs = 10
/** Of SNS. */
const publishedAnswer =
  '<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>'

export async function startScratchLambda(options: {
  /** Where the bundle is, as the image has it in /var/task. */
  readonly taskRoot: string
  /** The module of the runtime interface client. */
  readonly runtime: string
  readonly dynamoDbEndpoint: string
  readonly functions: Readonly<Record<string, FunctionSettings>>
  /** The names of functions; nobody is told of a failed invocation by default. */
  readonly notices?: { readonly failuresOf: string; readonly toldTo: string }
}): Promise<ScratchLambda> {
  const { functions, dynamoDbEndpoint, notices } = options
  const ended: EndedInvocation[] = []
  const actions = new Map<string, Set<string>>()
  const logs = new Map<string, string>()
  const sandboxes = new Map<string, Sandbox[]>()
  const published: string[] = []
  let isStopping = false

  const invoke = async (
    name: string,
    payload: unknown,
    requestId: string = randomUUID(),
  ): Promise<Outcome> => {
    const settings = functions[name]
    if (settings === undefined) throw new Error(`no function ${name}`)
    const known = sandboxes.get(name) ?? []
    sandboxes.set(name, known)
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const work = { requestId, payload: JSON.stringify(payload), end: resolve }
    let sandbox = known.find(each => each.isIdle())
    if (sandbox === undefined) {
      sandbox = await startSandbox({
        ...options,
        name,
        settings,
        awsEndpoint: `${aws.endpoint}/as/${name}`,
        onOutput: text => logs.set(name, (logs.get(name) ?? '') + text),
      })
      known.push(sandbox)
    }
    sandbox.run(work)
    const outcome = await promise
    ended.push({ name, payload, outcome })
    return outcome
  }

  const aws = await startServer(async (request, response) => {
    // /as/NAME, which is who asks, and then what AWS would be asked.
    const [, , name = '', ...rest] = (request.url ?? '').split('/')
    const path = `/${rest.join('/')}`
    const body = await readBody(request)
    const asked = actions.get(name) ?? new Set()
    actions.set(name, asked)
    for (const action of awsActionsOf({ path, headers: request.headers, body })) asked.add(action)
    if (isPublish(body)) {
      published.push(new URLSearchParams(body).get('Subject') ?? '')
      response.writeHead(200, { 'Content-Type': 'text/xml' })
      return void response.end(publishedAnswer)
    }
    const invoked = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(path)?.[1]
    if (invoked === undefined) return pass(dynamoDbEndpoint, request, body, response)
    if (isStopping) return answer(response, 503, {})
    if (request.headers['x-amz-invocation-type'] !== 'Event') {
      throw new Error('functions invoke each other without waiting for an answer')
    }
    answer(response, 202, {})
    await invokeAndTell(decodeURIComponent(invoked), JSON.parse(body))
  })

  const invokeAndTell = async (name: string, event: unknown): Promise<void> => {
    const requestId = randomUUID()
    const failure = failureOf(await invoke(name, event, requestId), functions[name])
    if (failure === null || isStopping || name !== notices?.failuresOf) return
    const about = { requestId, functionName: name, event, failure, nowMs: Date.now() }
    await invoke(notices.toldTo, createFailureRecord(about))
  }

  return {
    invoke,
    ended,
    processes: name => sandboxes.get(name)?.length ?? 0,
    published,
    actions: name => [...(actions.get(name) ?? [])].toSorted(),
    log: name => logs.get(name) ?? '',
    kill: name => {
      for (const each of sandboxes.get(name) ?? []) each.kill()
    },
    async stop() {
      isStopping = true
      await Promise.all([...sandboxes.values()].flat().map(each => each.stop()))
      await aws.stop()
    },
  }
}

/** What Lambda says of an invocation that failed; null for one that succeeded. */
function failureOf(outcome: Outcome, settings?: FunctionSettings): FunctionFailure | null {
  switch (outcome.kind) {
    case 'succeeded':
      return null
    case 'failed':
    case 'init-failed':
      return outcome.error
    case 'timed-out': {
      const seconds = ((settings?.timeoutMs ?? 0) / 1000).toFixed(2)
      return {
        errorType: 'Sandbox.Timedout',
        errorMessage: `Task timed out after ${seconds} seconds`,
      }
    }
  }
}

async function startSandbox(options: {
  readonly taskRoot: string
  readonly runtime: string
  readonly name: string
  readonly settings: FunctionSettings
  readonly awsEndpoint: string
  readonly onOutput: (text: string) => void
}): Promise<Sandbox> {
  const { name, settings, onOutput } = options
  let waiting: ServerResponse | null = null
  let work: Work | null = null
  let isOver = false
  let timer: NodeJS.Timeout | undefined
  let child: ChildProcess | undefined

  const finish = (outcome: Outcome) => {
    clearTimeout(timer)
    const done = work
    work = null
    done?.end(outcome)
  }
  const hand = () => {
    if (waiting === null || work === null) return
    const response = waiting
    waiting = null
    response.setHeader('Lambda-Runtime-Aws-Request-Id', work.requestId)
    response.setHeader('Lambda-Runtime-Deadline-Ms', String(Date.now() + settings.timeoutMs))
    const arn = `arn:aws:lambda:us-east-1:000000000000:function:${name}`
    response.setHeader('Lambda-Runtime-Invoked-Function-Arn', arn)
    response.setHeader('Content-Type', 'application/json')
    response.end(work.payload)
    timer = setTimeout(() => {
      isOver = true
      child?.kill('SIGKILL')
      finish({ kind: 'timed-out' })
    }, settings.timeoutMs + timeOutSlackMs)
  }
  const runtimeApi = await startServer(async (request, response) => {
    const body = await readBody(request)
    const path = request.url ?? ''
    if (path === '/2018-06-01/runtime/invocation/next') {
      waiting = response
      return hand()
    }
    answer(response, 202, { status: 'OK' })
    if (path.endsWith('/response')) return finish({ kind: 'succeeded', answer: JSON.parse(body) })
    const { errorType, errorMessage } = JSON.parse(body) as FunctionFailure
    const isInit = path === '/2018-06-01/runtime/init/error'
    if (isInit) isOver = true
    finish({ kind: isInit ? 'init-failed' : 'failed', error: { errorType, errorMessage } })
  })

  child = spawn(process.execPath, [options.runtime], {
    cwd: options.taskRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Nothing of the environment of the tests: a sandbox has what Lambda and the template give it.
    env: {
      PATH: dirname(process.execPath),
      AWS_LAMBDA_RUNTIME_API: runtimeApi.endpoint.replace('http://', ''),
      _HANDLER: settings.handler,
      LAMBDA_TASK_ROOT: options.taskRoot,
      AWS_LAMBDA_FUNCTION_NAME: name,
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
      AWS_LAMBDA_LOG_STREAM_NAME: 'scratch',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL: options.awsEndpoint,
      ...settings.variables,
    },
  })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', each => onOutput(`${each}`))
  const closed = once(child, 'close').then(([code, signal]) => {
    isOver = true
    // In the words of Lambda.
    const how =
      code === null ? `signal: ${signal === 'SIGKILL' ? 'killed' : signal}` : `exit status ${code}`
    const errorMessage = `Runtime exited with error: ${how}`
    finish({ kind: 'failed', error: { errorType: 'Runtime.ExitError', errorMessage } })
  })
  return {
    run(next) {
      work = next
      hand()
    },
    isIdle: () => !isOver && work === null,
    kill: () => void child?.kill('SIGKILL'),
    async stop() {
      child?.kill('SIGKILL')
      await closed
      await runtimeApi.stop()
    },
  }
}

async function startServer(
  serve: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void,
): Promise<{ endpoint: string; stop(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    Promise.resolve(serve(request, response)).catch(error => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}

/** On to the stand-in of DynamoDB, and its answer back. */
async function pass(
  endpoint: string,
  { headers }: IncomingMessage,
  body: string,
  response: ServerResponse,
): Promise<void> {
  const given = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/x-amz-json-1.0',
      'X-Amz-Target': String(headers['x-amz-target']),
      Authorization: String(headers.authorization),
      'X-Amz-Date': String(headers['x-amz-date']),
    },
    body,
  })
  response.writeHead(given.status, { 'Content-Type': 'application/x-amz-json-1.0' })
  response.end(await given.text())
}
