// Owns Ctrl-C for commands that finish the batch in flight before they end.

import { exitCode } from '../exit-code.ts'

/**
 * One Ctrl-C may arrive twice: from the terminal, which signals the whole process group, and from a
 * parent (npm) that forwards the signal. A person takes longer than this to press Ctrl-C again.
 */
const REPEAT_MS_MIN = 500

export type Interruption = {
  /** Aborted by the first SIGINT or SIGTERM; the second one ends the process at once. */
  readonly signal: AbortSignal
  end(): void
}

export function listenForInterruption(
  announcement: string,
  note: (line: string) => void,
): Interruption {
  const controller = new AbortController()
  let firstMs = 0
  const onSignal = () => {
    if (controller.signal.aborted) {
      if (performance.now() - firstMs >= REPEAT_MS_MIN) process.exit(exitCode.interrupted)
      return
    }
    firstMs = performance.now()
    controller.abort()
    note(announcement)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    end() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}
