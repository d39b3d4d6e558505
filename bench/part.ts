// Owns starting the parts of a measurement as processes of their own, so that they do not share one
// thread with what is measured: an order as an argument, reports as lines of standard output. Does
// not own what the parts do (parts/, compare/contenders/limit-part.ts, compare/records/).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Part<Report> = {
  readonly pid: number
  /** Calls `take` for each report, first with those that came before this call. */
  onReport(take: (report: Report) => void): void
  /** The next report. @throws when the part ends without one. */
  nextReport(): Promise<Report>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
}

/** Starts `bench/<script>`. The part ends when this process ends (`exitWithStarter`). */
export function startPart<Report>(
  script: string,
  order: unknown,
  env: Readonly<Record<string, string>> = {},
): Part<Report> {
  const path = join(import.meta.dirname, script)
  const args = [path, JSON.stringify(order)]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let take: ((report: Report) => void) | null = null
  const kept: Report[] = []
  let isKilled = false
  createInterface({ input: child.stdout }).on('line', line => {
    // The last line of a killed part may be cut off.
    if (isKilled) return
    const report = JSON.parse(line) as Report
    if (take === null) kept.push(report)
    else take(report)
  })
  return {
    pid: child.pid ?? 0,
    onReport(taker) {
      take = taker
      for (const report of kept.splice(0)) taker(report)
    },
    async nextReport() {
      const known = kept.shift()
      if (known !== undefined) return known
      const report = Promise.withResolvers<Report>()
      take = each => {
        take = null
        report.resolve(each)
      }
      const early = exited.then(() => Promise.reject(new Error(`${script} ended too early`)))
      return Promise.race([report.promise, early])
    },
    async kill() {
      isKilled = true
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Called in a part: returns its order. */
export function orderOf<Order>(): Order {
  return JSON.parse(process.argv[2] ?? 'null')
}

/** Called in a part: sends a report to the process that started it. */
export function report(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

/** Called in a part: exits when standard input closes, because the starting process has ended. */
export function exitWithStarter(): void {
  process.stdin.once('close', () => process.exit(0)).resume()
}

/** Monotonic, and the same for all processes of a machine (CLOCK_MONOTONIC), ns. */
export function machineNs(): bigint {
  return process.hrtime.bigint()
}

/** The time of `machineNs` in ms. */
export function machineMs(): number {
  return Number(machineNs()) / 1e6
}

export function waitMs(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
