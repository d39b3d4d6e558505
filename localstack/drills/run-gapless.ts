// Owns running the command line of this project in a drill, as a process of its own.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { projectDirectory } from '../engine/stack-settings.ts'

export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

const outputBytesMax = 16 * 1024 * 1024

/** Runs `gapless` to its end. Rejects when it was ended by a signal, or wrote more than 16 MiB. */
export function runGapless(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const options = { cwd: projectDirectory, env, maxBuffer: outputBytesMax }
  const cli = join(projectDirectory, 'cli', 'gapless.ts')
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [cli, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(error)
    })
  })
}
