// The real command line as a process, with only the environment variables that a test gives it.

import { spawn } from 'node:child_process'
import { join } from 'node:path'

const program = join(import.meta.dirname, '../../../cli/gapless.ts')

export type Ended = { code: number | null; stdout: string; stderr: string }

export type Started = { ended: Promise<Ended>; signal(name: NodeJS.Signals): void }

export type Place = { cwd: string; env?: Record<string, string> }

/** Starts `gapless ...args`; its standard input is no terminal. */
export function startGapless(args: readonly string[], { cwd, env = {} }: Place): Started {
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  return {
    ended: new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', code => resolve({ code, stdout, stderr }))
    }),
    signal: name => {
      child.kill(name)
    },
  }
}

export function runGapless(args: readonly string[], place: Place): Promise<Ended> {
  return startGapless(args, place).ended
}
