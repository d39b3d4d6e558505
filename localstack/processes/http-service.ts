// A local HTTP service: started on a port that must be free, and ready as soon as it answers any
// request with any status.

import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { errorText } from '../../lib/core/error-text.ts'
import {
  killProcess,
  type OnSpawn,
  type ProcessIdentity,
  startProcess,
  stopProcess,
} from './os-process.ts'
import { describePortHolder, isPortFree, localAddress } from './ports.ts'
import { StackError } from './stack-error.ts'

export type HttpServiceOptions = {
  /** The service's name in sentences to operators. */
  label: string
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  port: number
  /** The path that is requested until the service answers; `/` where it has no health check. */
  healthPath: string
  logFile: string
  detached: boolean
  onSpawn?: OnSpawn | undefined
  /** What an operator does about a failed start; printed after the log file's path. */
  remedy: string
}

export type HttpService = ProcessIdentity & {
  /** `http://127.0.0.1:port`, as AWS_ENDPOINT_URL takes it. */
  endpoint: string
  port: number
  logFile: string
  /**
   * SIGTERM, then SIGKILL after 20 s. Resolves when the process and its in-memory data are gone.
   */
  stop(): Promise<void>
}

const pollMs = 100
/** DynamoDB Local takes 1.5 s, LocalStack 1.4 s, and longer the first time: Python compiles. */
const readyDeadlineMs = 60_000
const requestTimeoutMs = 5_000

/** @throws StackError when the port is taken, or the process dies or does not answer in time. */
export async function startHttpService(options: HttpServiceOptions): Promise<HttpService> {
  const { label, port, logFile } = options
  if (!(await isPortFree(port))) {
    const address = `${localAddress}:${port}`
    throw new StackError(
      `${label} cannot start: ${address} is already in use${describePortHolder(port)}.`,
      'Stop the process that listens there, or choose another port.',
    )
  }
  const process = await startProcess(options)
  const endpoint = `http://${localAddress}:${port}`
  try {
    await waitForAnswer(endpoint + options.healthPath, process.ended)
  } catch (error) {
    await killProcess(process)
    throw new StackError(
      `${label} did not start on ${endpoint}: ${await findReason(logFile, error)}`,
      `Its log is ${logFile}. ${options.remedy}`,
      { cause: error },
    )
  }
  const { pid, startedAt } = process
  return { endpoint, port, pid, startedAt, logFile, stop: () => stopProcess(process) }
}

async function waitForAnswer(url: string, ended: () => string | undefined): Promise<void> {
  const deadline = Date.now() + readyDeadlineMs
  while (Date.now() < deadline) {
    const end = ended()
    if (end !== undefined) throw new Error(`the process ended (${end})`)
    if ((await askHttp(url)) !== undefined) return
    await delay(pollMs)
  }
  throw new Error(`no answer after ${readyDeadlineMs / 1_000} s`)
}

/**
 * One request without retries. @returns the body of any answer, undefined without an answer.
 * DynamoDB Local answers 400 to an unsigned request, which proves readiness as well as a 200.
 */
export async function askHttp(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(requestTimeoutMs) })
    return await response.text()
  } catch {
    // Refused, reset or timed out: the service is not ready yet; the caller bounds the wait.
    return undefined
  }
}

/** The log line with an address in use or an exception; otherwise the error that ended the wait. */
async function findReason(logFile: string, error: unknown): Promise<string> {
  const lines = (await readFile(logFile, 'utf8')).split('\n').map(line => line.trim())
  const bind = lines.findLast(line => /address already in use/i.test(line))
  const exception = lines.findLast(line => /^(Caused by: )?[\w.]+(Error|Exception)\b/.test(line))
  return bind ?? exception ?? errorText(error)
}
