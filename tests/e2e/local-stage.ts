// The commands of the local stage as a person starts them, on their own ports and in their own
// folder. Not a test: shared by the tests of this folder.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../lib/io/clock.ts'
import { identifyProcess } from '../../localstack/processes/os-process.ts'
import { findFreePort } from '../../localstack/processes/ports.ts'

export type LocalStage = Awaited<ReturnType<typeof createLocalStage>>

/** A running command; `output` collects both of its streams. */
export type RunningCommand = {
  readonly pid: number
  output(): string
  /**
   * Waits until the output matches. Throws an error with the whole output when the command ends
   * before, or after three minutes.
   */
  says(pattern: RegExp): Promise<RegExpExecArray>
  signal(name: NodeJS.Signals): void
  ended: Promise<number | null>
}

const projectDirectory = join(import.meta.dirname, '..', '..')
const saysDeadlineMs = 180_000
const pollMs = 100

/** A stack for one test file; `remove` stops all of its processes that still run. */
export async function createLocalStage() {
  const directory = mkdtempSync(join(tmpdir(), 'gapless-stage-'))
  const ports: number[] = []
  while (ports.length < 4) {
    const port = await findFreePort()
    if (!ports.includes(port)) ports.push(port)
  }
  const [primary, standby, aws, lambda] = ports.map(String)
  const env = {
    ...process.env,
    // The result must not depend on the machine or on the environment of the person.
    GAPLESS_STACK: 'host',
    GAPLESS_AWS: 'dynamodb-local',
    GAPLESS_CONFIG: '',
    GAPLESS_TABLE: '',
    GAPLESS_STACK_DIR: join(directory, 'stack'),
    GAPLESS_PRIMARY_PORT: primary,
    GAPLESS_STANDBY_PORT: standby,
    GAPLESS_AWS_PORT: aws,
    GAPLESS_LAMBDA_PORT: lambda,
  }
  const commands: RunningCommand[] = []
  const run = (command: string, args: readonly string[]): RunningCommand => {
    const child = spawn(command, args, {
      cwd: projectDirectory,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const running = follow(child)
    commands.push(running)
    return running
  }
  const script = (name: string, args: readonly string[]) => run(process.execPath, [name, ...args])
  return {
    directory,
    ports,
    run,
    /** `npm start` without npm, so that signals reach only its process. */
    start: (args: readonly string[]) => script(join('localstack', 'start.ts'), args),
    stack: (args: readonly string[]) => script(join('localstack', 'stack.ts'), args),
    async remove(): Promise<void> {
      // A command that a failed test left running stops its own processes.
      for (const command of commands) command.signal('SIGTERM')
      await Promise.all(commands.map(command => command.ended))
      await script(join('localstack', 'stack.ts'), ['down']).ended
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The process ids in a command's output: `The primary Kafka: ... (pid 4711)`. */
export function pidsIn(output: string): number[] {
  return [...output.matchAll(/^The .*: .* \(pid (\d+)\)/gm)].map(([, pid]) => Number(pid))
}

/** The process ids whose process still runs. */
export function living(pids: readonly number[]): number[] {
  return pids.filter(pid => identifyProcess(pid) !== undefined)
}

function follow(child: ChildProcess): RunningCommand {
  let output = ''
  let isOver = false
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', chunk => {
      output += chunk
    })
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      isOver = true
      resolve(code)
    })
  })
  return {
    pid: child.pid ?? 0,
    output: () => output,
    async says(pattern) {
      const deadlineMs = performance.now() + saysDeadlineMs
      while (performance.now() < deadlineMs) {
        const match = pattern.exec(output)
        if (match !== null) return match
        if (isOver) break
        await systemClock.wait(pollMs)
      }
      throw new Error(`did not say ${pattern}; it said:\n${output}`)
    },
    signal: name => {
      child.kill(name)
    },
    ended,
  }
}
