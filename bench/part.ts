// Owns starting the parts of a measurement as processes of their own, so that they do not share one
// thread with what is measured, and talking with them: an order at the start, then requests by
// standard input and reports by standard output, a line each. Not what they do (paced-producer.ts,
// tail-reader.ts, follower.ts).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Part<Report> = {
  readonly pid: number
  /** Called for each report from now on; those of before are kept until then. */
  onReport(take: (report: Report) => void): void
  /** The next report not taken yet. @throws when the part ends before. */
  nextReport(): Promise<Report>
  send(request: string): void
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
}

/** Starts `bench/<script>`. The process ends when this one does. */
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
    // Its last line may have been cut off.
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
    send: request => {
      child.stdin.write(`${request}\n`)
    },
    async kill() {
      isKilled = true
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** In a part: its order. */
export function orderOf<Order>(): Order {
  return JSON.parse(process.argv[2] ?? 'null')
}

/** In a part: tells whoever started it. */
export function report(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

/** In a part: takes requests, and ends when nobody is left to make any. */
export function takeRequests(take: (request: string) => void): void {
  createInterface({ input: process.stdin })
    .on('line', take)
    .once('close', () => process.exit(0))
}

/** Monotonic, and the same for all processes of a machine (CLOCK_MONOTONIC), ns. */
export function machineNs(): bigint {
  return process.hrtime.bigint()
}

/** The same in ms. */
export function machineMs(): number {
  return Number(machineNs()) / 1e6
}

export function waitMs(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
