// One process at a time does a piece of work: a lock directory that holds its owner's pid and start
// time. The lock is advisory: two processes that remove the same stale lock at the same instant
// both go on, and the guarded work must bear that (artifacts.ts: both fetch, and the second rename
// finds a complete folder; the stack: the port is taken).
//
// Not proper-lockfile: it knows a dead owner only by a modification time that is 10 s old, so every
// start after a SIGKILL would wait, and an owner that is stopped for 10 s would lose its lock.

import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { identifyProcess, isRunning, type ProcessIdentity } from './os-process.ts'
import { type Report, StackError } from './stack-error.ts'

const pollMs = 250
/** The slowest download seen (LocalStack on a slow line) took less. */
const waitMaxMs = 15 * 60_000
/** A process that made the directory and has not written its identity for this long died there. */
const ownerlessMaxMs = 5_000

/**
 * Runs `work` while holding the lock at `path`.
 * @throws StackError when its owner keeps it for 15 minutes.
 */
export async function withLock<T>(
  options: { path: string; report: Report },
  work: () => Promise<T>,
): Promise<T> {
  await acquireLock(options)
  try {
    return await work()
  } finally {
    await rm(options.path, { recursive: true, force: true })
  }
}

/**
 * Takes the lock at `path` without waiting. Returns its release, or the owner that holds the lock
 * (`pid 123`).
 */
export async function tryLock(
  path: string,
): Promise<{ readonly release: () => Promise<void> } | { readonly heldBy: string }> {
  await mkdir(dirname(path), { recursive: true })
  // Twice: a stale lock is removed first.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    if (await createLock(path)) {
      return { release: () => rm(path, { recursive: true, force: true }) }
    }
    const owner = await readOwner(path)
    if (owner !== 'stale') return { heldBy: owner }
    await rm(path, { recursive: true, force: true })
  }
  return { heldBy: 'another process' }
}

async function acquireLock(options: { path: string; report: Report }): Promise<void> {
  let announced = false
  for (let waitedMs = 0; waitedMs < waitMaxMs; ) {
    if (await createLock(options.path)) return
    const owner = await readOwner(options.path)
    if (owner === 'stale') {
      await rm(options.path, { recursive: true, force: true })
      continue
    }
    if (!announced)
      options.report(`Waiting for another process that does the same work (${owner})...`)
    announced = true
    await delay(pollMs)
    waitedMs += pollMs
  }
  throw new StackError(
    `Another process has held ${options.path} for more than ${waitMaxMs / 60_000} minutes.`,
    'End that process (its pid is in owner.json there) and try again.',
  )
}

async function createLock(path: string): Promise<boolean> {
  try {
    await mkdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  await writeFile(join(path, 'owner.json'), JSON.stringify(identifyProcess(process.pid)))
  return true
}

/** The owner for the progress line, or `stale` when the owner is dead. */
async function readOwner(path: string): Promise<string | 'stale'> {
  try {
    const text = await readFile(join(path, 'owner.json'), 'utf8')
    const owner = JSON.parse(text) as ProcessIdentity
    return isRunning(owner) ? `pid ${owner.pid}` : 'stale'
  } catch {
    // The owner file is missing or half written, or the lock was released between the two calls:
    // the directory's age decides.
    const made = await stat(path).catch(() => undefined)
    if (made === undefined) return 'its lock was just released'
    return Date.now() - made.mtimeMs > ownerlessMaxMs ? 'stale' : 'starting'
  }
}
