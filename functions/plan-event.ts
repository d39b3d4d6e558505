// Owns the events that `plan` is invoked with: a tick of its schedule, Lambda's record of an
// invocation that failed, and a worker's word that another worker ended. Does not own what is done
// about them (plan.ts, lib/core/plan/ended-worker.ts).

import { z } from 'zod'
import type { EndNotice } from '../lib/core/plan/ended-worker.ts'

export type PlanEvent =
  | { readonly kind: 'tick' }
  /** `flow`: null when the record does not name it, because Lambda leaves out large payloads. */
  | { readonly kind: 'notice'; readonly flow: string | null; readonly notice: EndNotice }
  /** A record that asks for nothing; `why` is a sentence. */
  | { readonly kind: 'ignored'; readonly why: string }

/** Characters of an event, or of the error of a worker, that a sentence quotes. */
const quotedCharactersMax = 300

/** EventBridge's schedule; serverless-offline simulates it with the same `detail-type`. */
const scheduled = z.looseObject({ 'detail-type': z.literal('Scheduled Event') })

const workerEnded = z.strictObject({
  kind: z.literal('worker-ended'),
  flow: z.string(),
  worker: z.string(),
})
export type WorkerEndedEvent = z.infer<typeof workerEnded>

/**
 * Lambda's record of an asynchronous invocation, as its destinations get it. Only fields that are
 * used are asked for: AWS adds some, and leaves out both payloads where they are too large.
 */
const failureRecord = z.looseObject({
  requestContext: z.looseObject({
    requestId: z.string(),
    /** `arn:aws:lambda:REGION:ACCOUNT:function:NAME:$LATEST` */
    functionArn: z.string(),
    /** RetriesExhausted, EventAgeExceeded, ZeroReservedConcurrency, or Success. */
    condition: z.string(),
  }),
  requestPayload: z.unknown().optional(),
  responsePayload: z.unknown().optional(),
})
type FailureRecord = z.infer<typeof failureRecord>

const namedFlow = z.looseObject({ flow: z.string(), worker: z.string().optional() })
const functionError = z.looseObject({
  errorMessage: z.string().optional(),
  errorType: z.string().optional(),
})

/**
 * `replicateFunction`: the name of the function whose invocations are workers.
 * @throws Error in one sentence for an event that `plan` does not know.
 */
export function readPlanEvent(event: unknown, replicateFunction: string): PlanEvent {
  const given = event ?? {}
  if (isEmpty(given) || scheduled.safeParse(given).success) return { kind: 'tick' }
  const fields = z.looseObject({}).safeParse(given).data ?? {}
  if ('requestContext' in fields) return ofRecord(parsed(failureRecord, given), replicateFunction)
  if (!('kind' in fields)) throw new Error(`${unknownText(given)}.`)
  const { flow, worker } = parsed(workerEnded, given)
  return { kind: 'notice', flow, notice: { kind: 'worker-ended', worker } }
}

function ofRecord(record: FailureRecord, replicateFunction: string): PlanEvent {
  const { requestId, functionArn, condition } = record.requestContext
  const name = functionArn.split(':')[6] ?? functionArn
  // A record of `plan` itself must never be the cause of the next `plan`.
  if (name !== replicateFunction) {
    const why = `The record of invocation ${requestId} is about ${name}; only workers (${replicateFunction}) are replaced.`
    return { kind: 'ignored', why }
  }
  if (condition === 'Success') {
    return { kind: 'ignored', why: `The record of invocation ${requestId} says that it succeeded.` }
  }
  const { flow = null, worker = null } = namedFlow.safeParse(record.requestPayload).data ?? {}
  const detail = detailOf(condition, record.responsePayload)
  return { kind: 'notice', flow, notice: { kind: 'worker-failed', requestId, worker, detail } }
}

/** The function's own error; the condition where the function never ran. */
function detailOf(condition: string, responsePayload: unknown): string {
  const { errorType, errorMessage } = functionError.safeParse(responsePayload).data ?? {}
  const said = [errorType, errorMessage].filter(each => each !== undefined).join(': ')
  return (said === '' ? condition : said).slice(0, quotedCharactersMax)
}

function parsed<T>(schema: z.ZodType<T>, event: unknown): T {
  const { data, error } = schema.safeParse(event)
  if (error === undefined) return data
  const wrong = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new Error(`${unknownText(event)}; ${wrong}.`)
}

function unknownText(event: unknown): string {
  const quoted = JSON.stringify(event).slice(0, quotedCharactersMax)
  return (
    `plan does not know this event: ${quoted}. It takes a tick of its schedule ({} by hand), ` +
    'Lambda\'s record of a failed invocation, or {"kind":"worker-ended","flow":"...","worker":"..."}'
  )
}

function isEmpty(event: unknown): boolean {
  return typeof event === 'object' && event !== null && Object.keys(event).length === 0
}
