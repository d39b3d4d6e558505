// Owns Ctrl-C for commands that have something to bring to an end first.

import { exitCode } from '../exit-code.ts'

/**
 * One Ctrl-C may arrive twice: from the terminal, which tells the whole process group, and from a
 * parent (npm) that passes on what it was told. A person needs longer than this for the second one.
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
