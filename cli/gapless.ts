#!/usr/bin/env node
// The command line: `npm run -s gapless -- COMMAND`. Owns the process; the
// commands are in program.ts.

import { runCommandLine } from './program.ts'

/** A socket or timer that a client library left open must not keep an operator waiting. */
const LINGER_MS_MAX = 2_000

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', error => {
  if ('code' in error && error.code === 'EPIPE') process.exit()
  throw error
})

process.exitCode = await runCommandLine(process.argv.slice(2), process.env)
setTimeout(() => process.exit(), LINGER_MS_MAX).unref()
