// The services and functions that one command starts and must stop again, however the command ends.
// Owns the interrupts (Ctrl-C) and the watch over the functions' process; not what the command
// does.

import { systemClock } from '../lib/io/clock.ts'
import { readSettings, type ServiceName, type StackSettings } from './engine/stack-settings.ts'
import { describeDeath, type OfflineFunctions, startFunctions } from './offline.ts'
import { isRunning, type ProcessIdentity, stopProcess } from './processes/os-process.ts'
import type { Report, StackError } from './processes/stack-error.ts'
import { down, up } from './stack.ts'

export type Session = {
  readonly settings: StackSettings
  readonly report: Report
  /** Aborted when the command must end: by an interrupt, or because the functions died. */
  readonly signal: AbortSignal
  /** Starts the services that do not run. @returns those started. @throws StackError */
  startStack(options: { topics: boolean }): Promise<readonly ServiceName[]>
  /** One process at a time: stop the previous one first. @throws StackError */
  startFunctions(options: {
    port: number
    env?: Record<string, string>
    logFile?: string
  }): Promise<OfflineFunctions>
  /** Stops the functions without ending the session. */
  stopFunctions(): Promise<void>
}

export type SessionEnd =
  | { readonly kind: 'completed'; readonly exitCode: number }
  | { readonly kind: 'interrupted'; readonly by: NodeJS.Signals }

const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const watchMs = 500
/** How long an interrupt waits for a start that is under way, so that it can be stopped, too. */
const startSettlesMs = 15_000

/**
 * Runs `story` until it ends, is interrupted, or the functions die. Then stops everything that was
 * started, the functions first, within about a minute.
 * @throws the error of `story`, and StackError when the functions die.
 */
export async function runSession(
  report: Report,
  story: (session: Session) => Promise<number>,
): Promise<SessionEnd> {
  const ending = new AbortController()
  const stopped = Promise.withResolvers<SessionEnd>()
  const started = createStarted(report)
  const session = createSession({ report, started, signal: ending.signal, die: stopped.reject })
  const onInterrupt = (by: NodeJS.Signals) => {
    if (ending.signal.aborted)
      report('Still stopping: everything that was started here ends within a minute.')
    else stopped.resolve({ kind: 'interrupted', by })
    ending.abort()
  }
  for (const name of interrupts) process.on(name, onInterrupt)
  // A closed terminal or pipe counts as an interrupt: a failed write must not end this process
  // before it has stopped what it started.
  const onUnread = () => stopped.resolve({ kind: 'interrupted', by: 'SIGHUP' })
  for (const stream of [process.stdout, process.stderr]) stream.on('error', onUnread)
  const completed = story(session).then((exitCode): SessionEnd => ({ kind: 'completed', exitCode }))
  try {
    return await Promise.race([completed, stopped.promise])
  } finally {
    ending.abort()
    // The story may fail now, because its services are being stopped; the cause is known already.
    completed.catch(() => undefined)
    if (started.isAnything()) report('Stopping what was started here...')
    await started.stop()
    for (const name of interrupts) process.off(name, onInterrupt)
  }
}

type Started = ReturnType<typeof createStarted>

/** Keeps track of what this command starts, from before it runs: an interrupt can come any time. */
function createStarted(report: Report) {
  const services = new Set<ServiceName>()
  let starting: Promise<unknown> = Promise.resolve()
  let functions: ProcessIdentity | null = null
  const stopServices = async () => {
    if (services.size > 0) await down({ services: [...services], report })
  }
  return {
    addService: (name: ServiceName) => void services.add(name),
    services: (): readonly ServiceName[] => [...services],
    isAnything: () => services.size > 0 || functions !== null,
    setFunctions: (process: ProcessIdentity | null) => {
      functions = process
    },
    /** Lets `stop` wait for a start that is under way. */
    follow<T>(start: Promise<T>): Promise<T> {
      starting = start.catch(() => undefined)
      return start
    },
    async stop(): Promise<void> {
      if (functions !== null && isRunning(functions)) {
        const { pid } = functions
        await stopProcess(functions)
        report(`Stopped the functions (pid ${pid})`)
      }
      await stopServices()
      // A service that was announced but did not run yet would outlive this command: stop again
      // once its start has ended.
      const settled = new AbortController()
      void starting.then(() => settled.abort())
      await systemClock.wait(startSettlesMs, settled.signal)
      await stopServices()
      if (functions !== null) await stopProcess(functions)
    },
  }
}

function createSession(input: {
  readonly report: Report
  readonly started: Started
  readonly signal: AbortSignal
  readonly die: (error: Error) => void
}): Session {
  const { report, started, signal, die } = input
  const settings = readSettings()
  let watching = new AbortController()
  let functions: OfflineFunctions | null = null
  return {
    settings,
    report,
    signal,
    async startStack({ topics }) {
      await started.follow(up({ topics, report, onStart: started.addService }))
      signal.throwIfAborted()
      return started.services()
    },
    async startFunctions(options) {
      if (functions !== null) throw new Error('the functions run already')
      // A process started after `stop` has run would never be stopped.
      signal.throwIfAborted()
      const onSpawn = started.setFunctions
      functions = await started.follow(startFunctions({ settings, onSpawn, ...options }))
      watching = new AbortController()
      void watch(functions, AbortSignal.any([signal, watching.signal])).then(
        death => death !== null && die(death),
      )
      return functions
    },
    async stopFunctions() {
      watching.abort()
      await functions?.stop()
      functions = null
      started.setFunctions(null)
    },
  }
}

/** Resolves with the error when the process ends by itself, with null once `signal` is aborted. */
async function watch(functions: OfflineFunctions, signal: AbortSignal): Promise<StackError | null> {
  while (!signal.aborted) {
    await systemClock.wait(watchMs, signal)
    if (signal.aborted) return null
    if (!functions.isRunning()) return describeDeath(functions)
  }
  return null
}
