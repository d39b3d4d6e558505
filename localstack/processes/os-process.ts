// Operating system processes of the local stack: their output goes to a file, they are identified
// by pid and start time, and stopped by pid. Does not own which process is started or when it is
// ready.
//
// Not execa: it knows a child only while the parent lives. The stack's processes are detached and
// stopped by a later command, brokers of a killed test worker must die with it, and both need the
// identity below; execa would replace only `runCommand`.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Pid and start time. The pid alone is not enough: pids are reused, and a state file may be days
 * old when `down` reads it and stops the process.
 */
export type ProcessIdentity = { pid: number; startedAt: string }

export type OnSpawn = (process: ProcessIdentity) => void

export type StartOptions = {
  command: string
  args: string[]
  /** Standard output and standard error are appended here. */
  logFile: string
  env?: NodeJS.ProcessEnv
  /**
   * true: the child survives this process. false: it is killed when this process ends in any way.
   */
  detached: boolean
  /**
   * Called as soon as the process runs, long before it is ready: a command that is interrupted
   * while it waits must know which process to stop.
   */
  onSpawn?: OnSpawn | undefined
}

export type StartedProcess = ProcessIdentity & {
  /** The exit code or signal name, once the process has ended by itself or by a signal. */
  ended(): string | undefined
}

const pollMs = 50
const outputCharactersMax = 64 * 1024
const termDeadlineMs = 20_000
const killDeadlineMs = 10_000

/** Starts a process. Throws the error of `spawn` when the command cannot be run at all. */
export async function startProcess(options: StartOptions): Promise<StartedProcess> {
  mkdirSync(dirname(options.logFile), { recursive: true })
  const log = openSync(options.logFile, 'a')
  try {
    // A process group of its own in both cases: Ctrl-C on the terminal must reach only the command,
    // which then shuts its brokers down in order.
    const child = spawn(options.command, options.args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: options.env ?? process.env,
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    const pid = child.pid ?? 0
    child.unref()
    if (!options.detached) startGuard(child)
    const startedAt = identifyProcess(pid)?.startedAt ?? 'ended at once'
    options.onSpawn?.({ pid, startedAt })
    const ended = () => {
      if (child.exitCode !== null) return `exit code ${child.exitCode}`
      return child.signalCode ?? (isRunning({ pid, startedAt }) ? undefined : 'it is gone')
    }
    return { pid, startedAt, ended }
  } finally {
    closeSync(log)
  }
}

/**
 * Kills `child` when this process ends, also by SIGKILL: a shell waits for the end of a pipe whose
 * other end only this process holds. With an exit handler alone, each killed test worker would
 * leave a broker running.
 */
function startGuard(child: ChildProcess): void {
  const script = `while read -r line; do :; done; kill -9 -${child.pid}`
  const guard = spawn('/bin/sh', ['-c', script], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // A guard that outlived its child could kill another process that was given the same pid.
  child.once('exit', () => guard.kill('SIGKILL'))
  guard.unref()
  // The pipe is a socket in Node, though its type does not say so; it must not keep this process
  // running.
  if (guard.stdin instanceof Socket) guard.stdin.unref()
}

/**
 * Runs a command to its end in this process's group, so that Ctrl-C ends the command, too.
 * @returns its exit code (or the signal's name) and the end of what it wrote to both outputs.
 */
export async function runCommand(options: {
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** true: the command writes to this process's outputs, and the returned output is empty. */
  visible?: boolean
  /** SIGTERM after this long. Default: no limit. */
  timeoutMs?: number
}): Promise<{ code: number | string; output: string }> {
  const outputs = options.visible ? 'inherit' : 'pipe'
  const child = spawn(options.command, options.args, {
    stdio: ['ignore', outputs, outputs],
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  let output = ''
  const append = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-outputCharactersMax)
  }
  child.stdout?.on('data', append)
  child.stderr?.on('data', append)
  // Not spawn's `timeout` option: when the command does not exist, spawn leaves its timer running,
  // and the timer keeps this process alive.
  const timer =
    options.timeoutMs === undefined ? undefined : setTimeout(() => child.kill(), options.timeoutMs)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', output }))
    })
  } finally {
    clearTimeout(timer)
  }
}

/** The identity of a running process; undefined when it has ended (a zombie has ended, too). */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === 'linux' ? readLinuxStart(pid) : readPosixStart(pid)
  return startedAt === undefined ? undefined : { pid, startedAt }
}

/**
 * Field 22 of /proc/PID/stat: clock ticks since boot (proc(5)). Field 2, the name, may hold spaces.
 */
function readLinuxStart(pid: number): string | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state] = fields
  return state === 'Z' || state === 'X' ? undefined : fields[19]
}

function readPosixStart(pid: number): string | undefined {
  try {
    const columns = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
    const [state, ...start] = columns.split(/\s+/)
    return state === undefined || state.startsWith('Z') ? undefined : start.join(' ')
  } catch (error) {
    // ps answers 1 for a pid that does not exist.
    if ((error as { status?: number }).status === 1) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ESRCH'
}

/** Whether this very process still runs, not another one with its pid. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt
}

/**
 * SIGTERM, then SIGKILL after `deadlineMs`. Resolves once the process is gone, with every child
 * that stayed in its process group.
 */
export async function stopProcess(
  identity: ProcessIdentity,
  deadlineMs = termDeadlineMs,
): Promise<void> {
  if (!isRunning(identity)) return
  sendSignal(identity.pid, 'SIGTERM')
  await waitForEnd(identity, deadlineMs)
  sendSignal(-identity.pid, 'SIGKILL')
  await insistOnEnd(identity)
}

/**
 * SIGKILL to the process and its group: nothing is flushed. Resolves once it is gone. Does nothing
 * when the process has ended, even if another process has its pid now.
 */
export async function killProcess(identity: ProcessIdentity): Promise<void> {
  if (!isRunning(identity)) return
  sendSignal(-identity.pid, 'SIGKILL')
  await insistOnEnd(identity)
}

async function insistOnEnd(identity: ProcessIdentity): Promise<void> {
  if (await waitForEnd(identity, killDeadlineMs)) return
  throw new Error(`process ${identity.pid} still runs ${killDeadlineMs / 1000} s after SIGKILL`)
}

/** A negative number is a process group. A missing process is success: the signal was to end it. */
function sendSignal(pidOrGroup: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pidOrGroup, signal)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

async function waitForEnd(identity: ProcessIdentity, deadlineMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < deadlineMs; waitedMs += pollMs) {
    if (!isRunning(identity)) return true
    await delay(pollMs)
  }
  return !isRunning(identity)
}
