// Owns how progress is shown on standard error: a bar that is redrawn at a terminal, a plain line
// every few seconds elsewhere.

import { clearLine, cursorTo } from 'node:readline'

const PLAIN_LINE_EVERY_MS = 5_000
const REDRAW_EVERY_MS = 100
const BAR_CHARACTERS = 40

export type Progress = {
  start(): void
  update(done: number): void
  /** A line that stays, also while the bar is redrawn below it. */
  note(line: string): void
  stop(): void
}

/** Standard error, or anything else that can be written to. */
type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }

type ProgressInput = {
  readonly total: number
  /** Where the bar is drawn, if it is a terminal. */
  readonly output: Output
  /** Prints one line of progress. */
  readonly note: (line: string) => void
  readonly nowMs: () => number
}

export function createProgress(input: ProgressInput): Progress {
  return input.output.isTTY === true ? createBar(input) : createLines(input)
}

function createBar({ total, output, note, nowMs }: ProgressInput): Progress {
  let startedMs = 0
  let done = 0
  let timer: NodeJS.Timeout | null = null
  const draw = () => {
    const line = barLine({ done, total, elapsedMs: nowMs() - startedMs })
    cursorTo(output, 0)
    // A line that wraps could not be redrawn in place.
    output.write(line.slice(0, (output.columns ?? Number.POSITIVE_INFINITY) - 1))
    clearLine(output, 1)
  }
  return {
    start() {
      startedMs = nowMs()
      // A timer and not `update`: the time shown advances while a broker does not answer.
      timer = setInterval(draw, REDRAW_EVERY_MS)
      draw()
    },
    update(now) {
      done = now
    },
    note(line) {
      if (timer === null) return note(line)
      cursorTo(output, 0)
      clearLine(output, 1)
      note(line)
      draw()
    },
    stop() {
      if (timer === null) return
      clearInterval(timer)
      timer = null
      draw()
      output.write('\n')
    },
  }
}

function createLines({ total, note, nowMs }: ProgressInput): Progress {
  let startedMs = 0
  let lastMs = 0
  return {
    start() {
      startedMs = nowMs()
      lastMs = startedMs
    },
    update(done) {
      const now = nowMs()
      if (now - lastMs < PLAIN_LINE_EVERY_MS || done === total) return
      lastMs = now
      const rate = (done * 1_000) / (now - startedMs)
      note(`${done} of ${total} events sent, ${rate.toFixed(1)} events/s`)
    },
    note,
    stop: () => undefined,
  }
}

/** `████░░░░ 400/1000 events, 1m05s` */
export function barLine(input: {
  readonly done: number
  readonly total: number
  readonly elapsedMs: number
}): string {
  const { done, total, elapsedMs } = input
  const complete = Math.round((done / total) * BAR_CHARACTERS)
  const bar = '█'.repeat(complete) + '░'.repeat(BAR_CHARACTERS - complete)
  return `${bar} ${done}/${total} events, ${durationText(Math.round(elapsedMs / 1_000))}`
}

function durationText(seconds: number): string {
  const twoDigits = (value: number) => String(value).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  if (minutes === 0) return `${seconds}s`
  if (minutes < 60) return `${minutes}m${twoDigits(seconds % 60)}s`
  return `${Math.floor(minutes / 60)}h${twoDigits(minutes % 60)}m`
}
