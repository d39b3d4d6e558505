// What a process has taken of the machine until now, as the kernel counts it (Linux, proc(5)).

import { readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/**
 * The processor's time of a process, user's and kernel's, ms in steps of 10; all of its threads.
 * null once it is gone.
 */
export function processorMs(pid: number): number | null {
  const stat = readProc(pid, 'stat')
  if (stat === null) return null
  // The second field is the program's name in parentheses and may hold anything; state, the third,
  // comes behind the last of them: utime and stime are the 14th and the 15th.
  const rest = stat.slice(stat.lastIndexOf(') ') + 2)
  const [user, system] = rest.split(' ').slice(11, 13).map(Number)
  return (((user ?? 0) + (system ?? 0)) * 1000) / TICKS_PER_SECOND
}

/** The most resident memory so far (VmHWM), MB of 2^20 bytes; null once the process is gone. */
export function peakMemoryMb(pid: number): number | null {
  return statusMb(pid, 'VmHWM')
}

/** Resident memory now (VmRSS), MB of 2^20 bytes; null once the process is gone. */
export function memoryMb(pid: number): number | null {
  return statusMb(pid, 'VmRSS')
}

function statusMb(pid: number, field: string): number | null {
  const found = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readProc(pid, 'status') ?? '')?.[1]
  return found === undefined ? null : Number(found) / 1024
}

function readProc(pid: number, file: 'stat' | 'status'): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // ESRCH: it ended between opening and reading.
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}
