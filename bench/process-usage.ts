// Processor time and memory of a process so far, as the kernel counts them (Linux, proc(5)).

import { readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/**
 * User and kernel processor time of all threads of a process, ms in steps of 10; null once the
 * process is gone.
 */
export function processorMs(pid: number): number | null {
  const stat = readProc(pid, 'stat')
  if (stat === null) return null
  // Field 2 is the program's name in parentheses and may hold any character; field 3, the state,
  // comes behind the last closing one. utime and stime are fields 14 and 15.
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
    // ESRCH: the process ended between opening and reading.
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}
