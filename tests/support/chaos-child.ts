// Keeps one process of chaos-process.ts running: when it dies, the next one starts, as the schedule
// of the functions would see to.

import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ChaosOrder } from './chaos-process.ts'

export type ChaosChild = {
  /** Waits for the next acknowledgement of the standby. Says what is wrong when none comes. */
  progress(): Promise<string | null>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** An orderly end, and no next one. */
  stop(): Promise<void>
  /** How often a process ended by itself, by the last line it wrote. */
  readonly failures: ReadonlyMap<string, number>
}

export type ChaosChildOptions = {
  readonly order: ChaosOrder
  readonly env: Readonly<Record<string, string>>
  readonly onStart: () => void
  readonly onAcknowledged: (records: number) => void
}

/** Leases, a broker's restart and a process's start fit into it several times. */
const PROGRESS_MS_MAX = 90_000
const STOP_MS_MAX = 30_000
const ERRORS_CHARACTERS_MAX = 4_000

const script = join(import.meta.dirname, 'chaos-process.ts')

type Running = { readonly process: ChildProcess; readonly ended: Promise<void> }

export function keepRunning(options: ChaosChildOptions): ChaosChild {
  const failures = new Map<string, number>()
  let stopping = false
  let next = Promise.withResolvers<void>()
  const start = (): Running => {
    options.onStart()
    const child = spawn(process.execPath, [script, JSON.stringify(options.order)], {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', text => {
      errors = (errors + text).slice(-ERRORS_CHARACTERS_MAX)
    })
    createInterface({ input: child.stdout }).on('line', line => {
      const records = Number(/^acknowledged (\d+)$/.exec(line)?.[1] ?? 0)
      if (records === 0) return
      options.onAcknowledged(records)
      next.resolve()
      next = Promise.withResolvers<void>()
    })
    const ended = new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        if (signal !== 'SIGKILL' && code !== 0) {
          const why = errors.trim().split('\n').at(-1) ?? ''
          failures.set(why, (failures.get(why) ?? 0) + 1)
        }
        if (!stopping) running = start()
        resolve()
      })
    })
    return { process: child, ended }
  }
  let running = start()
  return {
    failures,
    progress: async () => {
      const isInTime = await within(next.promise, PROGRESS_MS_MAX)
      return isInTime ? null : `nothing was copied for ${PROGRESS_MS_MAX} ms`
    },
    kill: async () => {
      const { process: child, ended } = running
      child.kill('SIGKILL')
      await ended
    },
    stop: async () => {
      stopping = true
      const { process: child, ended } = running
      child.kill('SIGTERM')
      const isInTime = await within(ended, STOP_MS_MAX)
      child.kill('SIGKILL')
      if (!isInTime) throw new Error(`the process did not end ${STOP_MS_MAX} ms after SIGTERM`)
    },
  }
}

async function within(done: Promise<void>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => late.resolve(false), ms)
  try {
    return await Promise.race([done.then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
