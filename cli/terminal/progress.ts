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
  /** A function where it becomes known as the work goes on. */
  readonly total: number | (() => number)
  /** What is counted; left out: events, which are sent. */
  readonly unit?: string
  /** Where the bar is drawn, if it is a terminal. */
  readonly output: Output
  /** Prints one line of progress. */
  readonly note: (line: string) => void
  readonly nowMs: () => number
}

export function createProgress(input: ProgressInput): Progress {
  return input.output.isTTY === true ? createBar(input) : createLines(input)
}

function createBar({ total, unit, output, note, nowMs }: ProgressInput): Progress {
  let startedMs = 0
  let done = 0
  let timer: NodeJS.Timeout | null = null
  const draw = () => {
    const line = barLine({ done, total: now(total), unit, elapsedMs: nowMs() - startedMs })
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

function now(total: ProgressInput['total']): number {
  return typeof total === 'number' ? total : total()
}

function createLines({ total, unit, note, nowMs }: ProgressInput): Progress {
  let startedMs = 0
  let lastMs = 0
  return {
    start() {
      startedMs = nowMs()
      lastMs = startedMs
    },
    update(done) {
      const atMs = nowMs()
      if (atMs - lastMs < PLAIN_LINE_EVERY_MS || done === now(total)) return
      lastMs = atMs
      const rate = (done * 1_000) / (atMs - startedMs)
      const what = unit ?? 'events sent'
      const left =
        unit === undefined ? '' : leftText({ done, total: now(total), elapsedMs: atMs - startedMs })
      note(`${done} of ${now(total)} ${what}, ${rate.toFixed(1)} ${unit ?? 'events'}/s${left}`)
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
  /** With a unit the line says how much time is left. */
  readonly unit?: string | undefined
}): string {
  const { done, total, elapsedMs, unit } = input
  const complete = Math.min(
    BAR_CHARACTERS,
    Math.round((done / Math.max(total, 1)) * BAR_CHARACTERS),
  )
  const bar = '█'.repeat(complete) + '░'.repeat(BAR_CHARACTERS - complete)
  const left = unit === undefined ? '' : leftText(input)
  const took = durationText(Math.round(elapsedMs / 1_000))
  return `${bar} ${done}/${total} ${unit ?? 'events'}, ${took}${left}`
}

/** By the pace so far; '' before anything is done. */
function leftText(input: {
  readonly done: number
  readonly total: number
  readonly elapsedMs: number
}): string {
  const { done, total, elapsedMs } = input
  if (done <= 0 || total <= done) return ''
  return `, ${durationText(Math.round((elapsedMs * (total - done)) / done / 1_000))} left`
}

function durationText(seconds: number): string {
  const twoDigits = (value: number) => String(value).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  if (minutes === 0) return `${seconds}s`
  if (minutes < 60) return `${minutes}m${twoDigits(seconds % 60)}s`
  return `${Math.floor(minutes / 60)}h${twoDigits(minutes % 60)}m`
}
