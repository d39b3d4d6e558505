// Owns loading kafkajs, everywhere: the commit-log producer, the local stack, the benchmarks and
// the independent reader of the tests take it from here. Its one warning is suppressed here, so no
// command line needs a flag of Node's for it. Types come from the package itself.

import loaded from 'kafkajs'

/**
 * kafkajs 2.2.4 computes its next look at the request queue as `-1 - Date.now()` (RequestQueue,
 * scheduleCheckPendingRequests). Node takes that for 1 ms, as kafkajs wants, and warns of it since
 * version 24. Only this kind of warning is dropped, and only in a process that loads kafkajs.
 */
function silenceTimerWarning(): void {
  const emitWarning = process.emitWarning.bind(process) as (...all: unknown[]) => void
  process.emitWarning = (...all: unknown[]) => {
    if (all[1] !== 'TimeoutNegativeWarning') emitWarning(...all)
  }
}

silenceTimerWarning()

export const kafkajs = loaded
