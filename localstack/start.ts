// `npm start`: the local stack, the functions on their schedule, and 1,000 events from the primary
// to the standby, as a first look at gapless. Ctrl-C stops the processes that were started here,
// and no others.

import { join } from 'node:path'
import { Command } from 'commander'
import { describeFailure, describeStack } from '../cli/failure.ts'
import { systemClock } from '../lib/io/clock.ts'
import {
  describeAddress,
  portVariables,
  type StackSettings,
  serviceNames,
} from './engine/stack-settings.ts'
import { chooseLambdaPort, type Invocation, type OfflineFunctions } from './offline.ts'
import { tryLock } from './processes/folder-lock.ts'
import { StackError } from './processes/stack-error.ts'
import { runSession, type Session, type SessionEnd } from './session.ts'
import { type Arrival, createArrival, eventCount, produceAwaited } from './view/awaited-events.ts'
import {
  type CommitLogFlow,
  commitLogTopic,
  loadCommitLogFlow,
  openCommitLogWatch,
} from './view/commit-log-watch.ts'
import { createStartView, type StartView } from './view/start-view.ts'

const lookEveryMs = 1_000
/** Covers the first tick, a lease of 20 s that an interrupted run left, and a scheduled tick. */
const caughtUpDeadlineMs = 150_000
/** serverless-offline runs rate(1 minute) at every full minute. */
const tickEveryMs = 60_000

const wrongUsageExitCode = 2
/** 128 + SIGINT, as shells count it. */
const interruptedExitCode = 130

/** A socket that a client library left open must not keep the process alive for longer. */
const lingerMs = 2_000

type Options = { exitWhenCaughtUp?: true }

async function demonstrate(session: Session, view: StartView, options: Options): Promise<number> {
  const startedMs = performance.now()
  const { settings, signal } = session
  signal.addEventListener('abort', view.end, { once: true })
  // Read before anything is started, so that an error in them costs no start.
  const flow = await loadCommitLogFlow(settings)
  const port = await chooseLambdaPort()
  const lock = await lockStart(settings)
  try {
    return await demonstrateAlone({ session, view, options, flow, port, startedMs })
  } finally {
    await lock.release()
  }
}

/** Two of these commands would copy the same topics on two schedules. */
async function lockStart(settings: StackSettings): Promise<{ release: () => Promise<void> }> {
  const lock = await tryLock(join(settings.directory, 'start.lock'))
  if ('release' in lock) return lock
  throw new StackError(
    `npm start runs already on the stack in ${settings.directory} (${lock.heldBy}).`,
    'Stop it with Ctrl-C, or give this one a stack of its own: GAPLESS_STACK_DIR, GAPLESS_PRIMARY_PORT, ' +
      'GAPLESS_STANDBY_PORT and GAPLESS_AWS_PORT.',
  )
}

async function demonstrateAlone(input: {
  readonly session: Session
  readonly view: StartView
  readonly options: Options
  readonly flow: CommitLogFlow
  readonly port: number
  readonly startedMs: number
}): Promise<number> {
  const { session, view, options, flow, port, startedMs } = input
  const { settings, signal } = session
  const started = await session.startStack({ topics: true })
  if (started.length === 0) view.say('The stack is up already, and will be left running.')
  const watch = await openCommitLogWatch(settings, flow)
  try {
    const functions = await startTicking(session, view, port)
    const first = functions.invoke('plan').then(invocation => sayIfFailed(invocation, view))
    // Rejects when the functions' process dies, which the session reports.
    first.catch(() => undefined)
    // A worker of a continuous flow copies until its deadline, 15 minutes later, and this stage
    // awaits it: what it copies is seen on the standby meanwhile.
    const isContinuous = flow.config.flows.some(each => each.mode === 'continuous')
    if (isContinuous)
      view.say('A flow is continuous: its worker goes on copying between the ticks.')
    else await first
    const standbyStart = await watch.readStandbyEnd()
    const keys = await produceAwaited(settings, view.say, signal)
    if (signal.aborted) return 0
    view.say(
      'Invoking "plan" now instead of waiting for the schedule ' +
        `(next scheduled tick in ${Math.ceil(nextTickInMs() / 1_000)} s).`,
    )
    const tick = functions.invoke('plan').then(invocation => sayIfFailed(invocation, view))
    // `tick` rejects when the functions' process dies, which the session reports.
    tick.catch(() => undefined)
    const arrival = createArrival({ watch, keys, standbyStart })
    await untilCaughtUp({ session, view, arrival, options })
    if (signal.aborted) return 0
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0)
    view.say(
      `All ${eventCount} events are on the standby, 1:1: compared id by id in ` +
        `${watch.standbyTopic}, none missing, none twice (${seconds} s after npm start).`,
    )
    if (options.exitWhenCaughtUp) return 0
    for (const line of suggestions(settings)) view.say(line)
    await follow(session, view, arrival)
    return 0
  } finally {
    await watch.close()
  }
}

async function startTicking(
  session: Session,
  view: StartView,
  port: number,
): Promise<OfflineFunctions> {
  view.say('Starting the functions (serverless offline start --stage local)...')
  const functions = await session.startFunctions({ port })
  view.say(`The functions: ${functions.endpoint} (pid ${functions.pid}), log ${functions.logFile}`)
  view.say('Invoking "plan" for the first tick; the schedule invokes it every minute from now on.')
  return functions
}

function sayIfFailed(invocation: Invocation, view: StartView): void {
  if (invocation.kind === 'failed') view.say(`The tick failed: ${invocation.reason}`)
}

async function untilCaughtUp(input: {
  readonly session: Session
  readonly view: StartView
  readonly arrival: Arrival
  readonly options: Options
}): Promise<void> {
  const { session, view, arrival, options } = input
  const deadlineMs = performance.now() + caughtUpDeadlineMs
  let haltIsSaid = false
  while (!session.signal.aborted) {
    const { end, halted } = await look(view, arrival)
    if (end !== null && (await arrival.isComplete(end))) return
    if (options.exitWhenCaughtUp && halted !== null) throw haltedError(halted)
    if (halted !== null && !haltIsSaid) {
      for (const line of [haltedError(halted).message, ...suggestions(session.settings)]) {
        view.say(line)
      }
      haltIsSaid = true
    }
    if (options.exitWhenCaughtUp && performance.now() > deadlineMs) {
      throw new StackError(
        `The standby did not catch up within ${caughtUpDeadlineMs / 1_000} s after the events ` +
          'were produced.',
        'See "npm run -s gapless -- status" and "incidents", and the functions\' log.',
      )
    }
    await systemClock.wait(lookEveryMs, session.signal)
  }
}

/** Until Ctrl-C. */
async function follow(session: Session, view: StartView, arrival: Arrival): Promise<void> {
  while (!session.signal.aborted) {
    await look(view, arrival)
    await systemClock.wait(lookEveryMs, session.signal)
  }
}

/** Shows the present state. A cluster or table that does not answer is shown as unobserved. */
async function look(
  view: StartView,
  { watch, standbyStart }: Arrival,
): Promise<{ end: bigint | null; halted: string | null }> {
  const unobserved: string[] = []
  const explain = (error: unknown) => {
    unobserved.push(...describeFailure(error).lines)
    return null
  }
  const [status, end] = await Promise.all([
    watch.readStatus().catch(explain),
    watch.readStandbyEnd().catch(explain),
  ])
  const partitions = status?.partitions ?? []
  view.show({
    partitions,
    unobserved: [...(status?.unobserved ?? []), ...unobserved],
    standbyTopic: watch.standbyTopic,
    arrived: end === null ? null : end - standbyStart,
    produced: eventCount,
    nextTickInMs: nextTickInMs(),
  })
  const halted = partitions.find(each => each.topic === commitLogTopic && each.state === 'halted')
  return { end, halted: halted === undefined ? null : `${halted.topic}:${halted.partition}` }
}

function haltedError(partition: string): StackError {
  return new StackError(
    `${partition} is halted by an incident: nothing of it is replicated until it is resumed.`,
    '"npm run -s gapless -- incidents" shows the cause, ' +
      `"npm run -s gapless -- resume ${partition}" resumes it.`,
  )
}

function nextTickInMs(): number {
  return tickEveryMs - (Date.now() % tickEveryMs)
}

/** Commands to try in another terminal, with the environment that they need there. */
function suggestions(settings: StackSettings): string[] {
  const ports = serviceNames
    .map(name => portVariables[name])
    .filter(name => process.env[name])
    .map(name => `${name}=${process.env[name]}`)
  const table = process.env.GAPLESS_TABLE ? [`GAPLESS_TABLE=${settings.table}`] : []
  const variables = [
    `AWS_ENDPOINT_URL=${describeAddress('aws', settings)}`,
    ...['AWS_REGION=us-east-1', 'AWS_ACCESS_KEY_ID=test', 'AWS_SECRET_ACCESS_KEY=test'],
    ...ports,
    ...table,
  ]
  const broker = describeAddress('primary', settings)
  return [
    'The functions go on until Ctrl-C. Try in another terminal, for example:',
    `  export ${variables.join(' ')}`,
    '  npm run -s gapless -- status',
    `  npm run -s gapless -- produce --broker ${broker} --topic ${commitLogTopic} --count 500`,
    `  npm run -s gapless -- reset-topic ${commitLogTopic}`,
    '  npm run -s gapless -- incidents',
  ]
}

async function run(options: Options): Promise<number> {
  const view = createStartView(process.stdout)
  let end: SessionEnd
  try {
    end = await runSession(view.say, session => demonstrate(session, view, options))
  } catch (error) {
    const lines = error instanceof StackError ? [error.message] : describeFailure(error).lines
    for (const line of [...lines, ...describeStack(error, process.env.GAPLESS_DEBUG)]) {
      process.stderr.write(`${line}\n`)
    }
    return 1
  }
  if (end.kind === 'completed') return end.exitCode
  // Ctrl-C is the normal end, except where the exit code tells whether the standby caught up.
  return options.exitWhenCaughtUp ? interruptedExitCode : 0
}

const program = new Command('npm start --')
  .description(
    'Starts two Kafka clusters, AWS endpoints and the functions on this machine, produces ' +
      `${eventCount} events into ${commitLogTopic}, and shows them arrive on the standby. ` +
      'Ctrl-C stops the processes that were started here.',
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : wrongUsageExitCode))
  .option(
    '--exit-when-caught-up',
    'exit with 0 once all events are on the standby, with 1 if they do not arrive',
  )
  .action(async (options: Options) => {
    process.exitCode = await run(options)
    setTimeout(() => process.exit(), lingerMs).unref()
  })
await program.parseAsync()
