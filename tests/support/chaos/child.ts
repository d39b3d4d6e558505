// Keeps a process of process.ts running. When it dies or is frozen for long, the next one starts,
// as the schedule of the functions would start it; when it hands over, its successor starts. Then
// several processes live side by side, as invocations do.

import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Activity } from './kills.ts'
import type { ChaosOrder } from './process.ts'

export type ChaosChild = {
  /** Waits for the next acknowledgement of the standby. Returns an error text when none comes. */
  progress(): Promise<string | null>
  /** Waits until a process begins this activity. False: none did in time. */
  moment(activity: Activity): Promise<boolean>
  /** How many of these activities are running in processes that are not frozen. */
  underWay(activity: Activity): number
  /** Sends SIGKILL to the process that copies; resolves when it has ended. */
  kill(): Promise<void>
  /** Sends SIGSTOP to the process that copies, during the activity `during` if it is given. */
  freeze(during: Activity | null): Promise<Frozen>
  /** Ends every process normally, and starts no next one. */
  stop(): Promise<void>
  /** How often a process ended by itself, by the last line that it wrote. */
  readonly failures: ReadonlyMap<string, number>
  readonly tally: Readonly<Tally>
}

export type Frozen = {
  /** Starts the next process while this one is frozen. */
  replace(): void
  /** Waits until another process copies. Returns an error text when none does. */
  overtaken(): Promise<string | null>
  wake(): void
}

/** Counts of runs, hand-overs and refused requests of all processes. */
export type Tally = {
  batch: number
  continuous: number
  handOvers: number
  /** Runs of frozen processes that found a lease lost; the two below count their refused writes. */
  overtaken: number
  refusedBatches: number
  refusedCheckpoints: number
}

export type ChaosChildOptions = {
  /** The order for the first process, the second one, and so on. */
  readonly orderOf: (nth: number) => ChaosOrder
  readonly env: Readonly<Record<string, string>>
  readonly onStart: () => void
  readonly onAcknowledged: (records: number) => void
  /** Receives each line of the nth process, and lines about its start and its end. */
  readonly onLine: (nth: number, line: string) => void
}

/** Several times a lease plus the restart of a broker and of a process on a busy machine. */
const PROGRESS_MS_MAX = 180_000
/** Longer than a lease and the start of a process. */
const MOMENT_MS_MAX = 20_000
const STOP_MS_MAX = 60_000
/** The continuous run of a successor whose drawn order is a batch run. */
const CONTINUOUS_MS = 5_000
const ERRORS_CHARACTERS_MAX = 4_000

const script = join(import.meta.dirname, 'process.ts')

type Running = {
  readonly process: ChildProcess
  readonly ended: Promise<void>
  /** How many of each activity have begun and not ended. */
  readonly open: Map<string, number>
  isFrozen: boolean
  wasFrozen: boolean
}

type Watch = {
  readonly matches: (line: string, by: Running) => boolean
  readonly seen: () => void
}

type Pool = {
  readonly options: ChaosChildOptions
  readonly failures: Map<string, number>
  readonly tally: Tally
  readonly alive: Set<Running>
  readonly watches: Set<Watch>
  started: number
  stopping: boolean
  /** The youngest process; every other one is in its last run. */
  current: Running | null
  /** The process whose records were acknowledged last. */
  copying: Running | null
}

export function keepRunning(options: ChaosChildOptions): ChaosChild {
  const tally = { batch: 0, continuous: 0, handOvers: 0 }
  const refusals = { overtaken: 0, refusedBatches: 0, refusedCheckpoints: 0 }
  const pool: Pool = {
    options,
    failures: new Map(),
    tally: { ...tally, ...refusals },
    alive: new Set(),
    watches: new Set(),
    started: 0,
    stopping: false,
    current: null,
    copying: null,
  }
  startNext(pool, null)
  return {
    failures: pool.failures,
    tally: pool.tally,
    progress: async () => complainUnless(await next(pool, isProgress, PROGRESS_MS_MAX)),
    moment: activity => next(pool, line => line === `begun ${activity}`, MOMENT_MS_MAX),
    underWay: activity => underWay(pool, activity),
    kill: async () => {
      const victim = copyingOf(pool)
      victim.process.kill('SIGKILL')
      await victim.ended
    },
    freeze: async during => {
      const victim = copyingOf(pool)
      if (during !== null) {
        tell(victim, `wait ${during}`)
        await next(pool, (line, by) => by === victim && line === `begun ${during}`, MOMENT_MS_MAX)
      }
      victim.process.kill('SIGSTOP')
      victim.isFrozen = true
      victim.wasFrozen = true
      return {
        replace: () => {
          if (pool.current === victim) startNext(pool, null)
        },
        overtaken: async () => {
          const byNext = (line: string, by: Running) => by !== victim && isProgress(line)
          return complainUnless(await next(pool, byNext, PROGRESS_MS_MAX))
        },
        wake: () => {
          victim.isFrozen = false
          victim.process.kill('SIGCONT')
        },
      }
    },
    stop: () => stopAll(pool),
  }
}

function complainUnless(isInTime: boolean): string | null {
  return isInTime ? null : `nothing was copied for ${PROGRESS_MS_MAX} ms`
}

function copyingOf({ copying, current, alive }: Pool): Running {
  const found = copying !== null && alive.has(copying) && !copying.isFrozen ? copying : current
  if (found === null) throw new Error('no process is running')
  return found
}

function underWay({ alive }: Pool, activity: Activity): number {
  const awake = [...alive].filter(each => !each.isFrozen)
  return awake.reduce((sum, { open }) => sum + (open.get(activity) ?? 0), 0)
}

/** `handOver` is the JSON that its predecessor wrote. */
function startNext(pool: Pool, handOver: string | null): void {
  const { options, tally } = pool
  options.onStart()
  pool.started += 1
  const nth = pool.started
  const drawn = options.orderOf(nth)
  const order: ChaosOrder =
    handOver === null
      ? drawn
      : {
          ...drawn,
          continuousMs: drawn.continuousMs ?? CONTINUOUS_MS,
          handOver: JSON.parse(handOver),
        }
  tally[order.continuousMs === null ? 'batch' : 'continuous'] += 1
  if (handOver !== null) tally.handOvers += 1
  for (const each of pool.alive) tell(each, 'retire')
  const child = spawn(process.execPath, [script, JSON.stringify(order)], {
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // The process may end before it has read its input; the event `close` reports that.
  child.stdin.on('error', () => undefined)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    errors = (errors + text).slice(-ERRORS_CHARACTERS_MAX)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      pool.alive.delete(running)
      options.onLine(nth, `process ends: ${signal ?? code} ${errors.trim()}`)
      if (signal === null && code !== 0) {
        const why = errors.trim().split('\n').at(-1) ?? ''
        pool.failures.set(why, (pool.failures.get(why) ?? 0) + 1)
      }
      if (!pool.stopping && pool.current === running) startNext(pool, null)
      resolve()
    })
  })
  const state = { open: new Map(), isFrozen: false, wasFrozen: false }
  const running: Running = { process: child, ended, ...state }
  pool.alive.add(running)
  pool.current = running
  options.onLine(nth, `process ${child.pid} starts`)
  createInterface({ input: child.stdout }).on('line', line => {
    options.onLine(nth, line)
    takeLine(pool, running, line)
    for (const watch of pool.watches) if (watch.matches(line, running)) watch.seen()
  })
}

function tell({ process: child }: Running, line: string): void {
  child.stdin?.write(`${line}\n`)
}

function isProgress(line: string): boolean {
  return recordsOf(line) > 0
}

function recordsOf(line: string): number {
  return Number(/^acknowledged (\d+)$/.exec(line)?.[1] ?? 0)
}

function takeLine(pool: Pool, by: Running, line: string): void {
  const { tally } = pool
  const [word = '', what = ''] = line.split(' ', 2)
  switch (word) {
    case 'begun':
    case 'ended':
      by.open.set(what, (by.open.get(what) ?? 0) + (word === 'begun' ? 1 : -1))
      return
    case 'acknowledged':
      if (recordsOf(line) === 0) return
      pool.copying = by
      return pool.options.onAcknowledged(recordsOf(line))
    case 'refused':
      if (by.wasFrozen) tally[what === 'checkpoint' ? 'refusedCheckpoints' : 'refusedBatches'] += 1
      return
    case 'run':
      if (by.wasFrozen && line.includes('lease-lost')) tally.overtaken += 1
      return
    case 'hand-over':
      // A process that was replaced meanwhile gets no successor: the next one already runs.
      if (!pool.stopping && pool.current === by) startNext(pool, line.slice(word.length + 1))
  }
}

/** Waits for the next line that matches. False: none matched in time. */
async function next(pool: Pool, matches: Watch['matches'], msMax: number): Promise<boolean> {
  const found = Promise.withResolvers<boolean>()
  const watch = { matches, seen: () => found.resolve(true) }
  pool.watches.add(watch)
  const timer = setTimeout(() => found.resolve(false), msMax)
  try {
    return await found.promise
  } finally {
    clearTimeout(timer)
    pool.watches.delete(watch)
  }
}

async function stopAll(pool: Pool): Promise<void> {
  pool.stopping = true
  const all = [...pool.alive]
  for (const each of all) {
    each.process.kill('SIGTERM')
    each.process.kill('SIGCONT')
  }
  const late = setTimeout(() => {
    for (const each of all) each.process.kill('SIGKILL')
  }, STOP_MS_MAX)
  await Promise.all(all.map(each => each.ended))
  clearTimeout(late)
  if (all.some(({ process: child }) => child.signalCode === 'SIGKILL')) {
    throw new Error(`a process did not end ${STOP_MS_MAX} ms after SIGTERM`)
  }
}
