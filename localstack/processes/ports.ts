// Ports on 127.0.0.1: which are free, and which process holds a taken one.
//
// Not get-port: when its candidates are taken it falls back to a port of the ephemeral range, where
// a restarted broker can lose its port to an outgoing connection (below).

import { execFileSync } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { StackError } from './stack-error.ts'

export const localAddress = '127.0.0.1'

// Below the ephemeral range, from which Linux (32768 and up) and macOS (49152 and up) take the
// ports of outgoing connections: a broker that is killed and restarted needs its port back, and the
// kernel could give exactly that port to a client that reconnects meanwhile.
const freePortMin = 10_240
const freePortMax = 32_767
const attemptsMax = 200

/** A port that is free now. Another process may take it before the caller binds: retry then. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = freePortMin + Math.floor(Math.random() * (freePortMax - freePortMin + 1))
    if (await isPortFree(port)) return port
  }
  throw new StackError(
    `No free port on ${localAddress} in ${attemptsMax} tries (${freePortMin} to ${freePortMax}).`,
    'Run "ss -ltn" to find the process that holds so many ports.',
  )
}

/** Whether a server can listen on the port now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    })
    server.listen({ port, host: localAddress, exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}

/** Whether a process accepts connections on the port. */
export function isPortOpen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ port, host: localAddress })
    const finish = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.setTimeout(1_000, () => finish(false))
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })
}

/** " by pid 4711 (java)" where lsof exists and may see the process, otherwise an empty string. */
export function describePortHolder(port: number): string {
  try {
    const rows = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-F', 'pc'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const pid = /^p(\d+)$/m.exec(rows)?.[1]
    const command = /^c(.+)$/m.exec(rows)?.[1]
    return pid === undefined ? '' : ` by pid ${pid} (${command ?? 'unknown'})`
  } catch {
    // The holder is additional information; that the port is taken was found out by binding it.
    return ''
  }
}
