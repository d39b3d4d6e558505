// What one command starts and must stop again, however it ends: services of the stack that did not
// run before, and the functions. Owns the interrupts (Ctrl-C) and the watch over the functions'
// process; not what the command does.

import { systemClock } from '../lib/io/clock.ts'
import { readSettings, type ServiceName, type StackSettings } from './engine/stack-settings.ts'
import { describeDeath, type OfflineFunctions, startFunctions } from './offline.ts'
import { isRunning, type ProcessIdentity, stopProcess } from './processes/os-process.ts'
import type { Report, StackError } from './processes/stack-error.ts'
import { down, up } from './stack.ts'

export type Session = {
  readonly settings: StackSettings
  readonly report: Report
  /** Aborted when the command is to end: by the user, or because the functions died. */
  readonly signal: AbortSignal
  /** Starts of the stack what does not run. @returns what it started. @throws StackError */
  startStack(options: { topics: boolean }): Promise<readonly ServiceName[]>
  /** One process at a time: the one before must have been stopped. @throws StackError */
  startFunctions(options: {
    port: number
    env?: Record<string, string>
    logFile?: string
  }): Promise<OfflineFunctions>
  /** An orderly end that does not count as the death of the functions. */
  stopFunctions(): Promise<void>
}

export type SessionEnd =
  | { readonly kind: 'completed'; readonly exitCode: number }
  | { readonly kind: 'interrupted'; readonly by: NodeJS.Signals }

const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const watchMs = 500
/** What was being started when the interrupt came is waited for, so that it can be stopped, too. */
const startSettlesMs = 15_000

/**
 * Runs `story` to its end, to an interrupt, or to the death of the functions, and then stops
 * whatever it started, the functions first. Takes at most about a minute for that.
 * @throws what `story` throws, and StackError when the functions die.
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
    if (ending.signal.aborted) report('Still stopping; everything is gone within a minute.')
    else stopped.resolve({ kind: 'interrupted', by })
    ending.abort()
  }
  for (const name of interrupts) process.on(name, onInterrupt)
  // A closed terminal or pipe: whoever watched is gone, and writing must not end us before we stop
  // what we started.
  const onUnread = () => stopped.resolve({ kind: 'interrupted', by: 'SIGHUP' })
  for (const stream of [process.stdout, process.stderr]) stream.on('error', onUnread)
  const completed = story(session).then((exitCode): SessionEnd => ({ kind: 'completed', exitCode }))
  try {
    return await Promise.race([completed, stopped.promise])
  } finally {
    ending.abort()
    // A story that was left behind fails on what is being stopped now; why it ended is known.
    completed.catch(() => undefined)
    if (started.isAnything()) report('Stopping what was started here...')
    await started.stop()
    for (const name of interrupts) process.off(name, onInterrupt)
  }
}

type Started = ReturnType<typeof createStarted>

/** Remembers what runs because of us, from before it runs: an interrupt may come at any time. */
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
    /** So that a start under way can come to its end before the last look around. */
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
      // A service that was announced but not running yet when we looked would outlive this command.
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
      // What is started after the last look around would not be stopped.
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

/**
 * Resolves with what to say when the process has ended by itself, with null once nobody wants to
 * know.
 */
async function watch(functions: OfflineFunctions, signal: AbortSignal): Promise<StackError | null> {
  while (!signal.aborted) {
    await systemClock.wait(watchMs, signal)
    if (signal.aborted) return null
    if (!functions.isRunning()) return describeDeath(functions)
  }
  return null
}
