// Owns how progress is shown on standard error: a bar at a terminal, a plain line
// every few seconds elsewhere.

import cliProgress from 'cli-progress'

const PLAIN_LINE_EVERY_MS = 5_000

export type Progress = {
  update(done: number): void
  stop(): void
}

export function createProgress(input: {
  readonly total: number
  readonly isTerminal: boolean
  readonly note: (line: string) => void
  readonly nowMs: () => number
}): Progress {
  const { total, isTerminal, note, nowMs } = input
  if (isTerminal) {
    const bar = new cliProgress.SingleBar(
      {
        format: '{bar} {value}/{total} events, {duration_formatted}',
        stream: process.stderr,
        hideCursor: true,
        // Ctrl-C is the command's to handle: it still has a batch to finish and a line to print.
        gracefulExit: false,
      },
      cliProgress.Presets.shades_classic,
    )
    bar.start(total, 0)
    return { update: done => bar.update(done), stop: () => bar.stop() }
  }
  const startedMs = nowMs()
  let lastMs = startedMs
  return {
    update(done) {
      const now = nowMs()
      if (now - lastMs < PLAIN_LINE_EVERY_MS || done === total) return
      lastMs = now
      const rate = (done * 1_000) / (now - startedMs)
      note(`${done} of ${total} events sent, ${rate.toFixed(1)} events/s`)
    },
    stop: () => undefined,
  }
}
