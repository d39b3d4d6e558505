// The download cache, with a shell script as Maven: an artefact is complete or absent, and fetched
// once, even if processes are interrupted or start at the same time.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'

let directory = ''
let cache = ''
/** Each run of the scripted Maven adds a line, and waits until `open` exists. */
let runs = ''
let open = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gapless-artifacts-'))
  cache = join(directory, 'cache')
  runs = join(directory, 'runs')
  open = join(directory, 'open')
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
})

test('an artifact is fetched once by two processes that want it at the same time', async () => {
  installMaven()
  const first = startFetch()
  await waitForRuns(1)
  const second = startFetch()
  await vi.waitFor(() => expect(second.errors()).toContain('Waiting for another process'), waiting)
  writeFileSync(open, '')

  expect(await first.end()).toBe(0)
  expect(await second.end()).toBe(0)
  expect(second.output()).toBe(first.output())
  expect(readFileSync(runs, 'utf8')).toBe('run\n')
  expect(readdirSync(first.output().trim())).toEqual(['whole.jar'])
})

test('a download that was killed does not look complete, and is repeated', async () => {
  installMaven()
  const killed = startFetch()
  await waitForRuns(1)
  killed.child.kill('SIGKILL')
  await killed.end()
  expect(readdirSync(cache).filter(name => /^kafka-[^/]*(?<!\.lock)$/.test(name))).toEqual([])

  writeFileSync(open, '')
  const repeated = startFetch()
  expect(await repeated.end()).toBe(0)
  expect(readdirSync(repeated.output().trim())).toEqual(['whole.jar'])
})

test('a cached artifact needs no Maven', async () => {
  installMaven()
  writeFileSync(open, '')
  expect(await startFetch().end()).toBe(0)
  rmSync(join(directory, 'bin', 'mvn'))

  const cached = startFetch()
  expect(await cached.end()).toBe(0)
  expect(cached.errors()).toBe('')
})

test('a missing Maven, and one that fails, end the fetch with one line that names the remedy', async () => {
  mkdirSync(join(directory, 'bin'))
  const without = startFetch({ PATH: createPathWithoutMaven() })
  expect(await without.end()).toBe(1)
  expect(without.errors()).toContain('Maven (mvn) was not found')
  expect(without.errors()).toContain('apt-get install maven')

  installMaven('echo "[ERROR] Could not transfer artifact: no route to host"; exit 1')
  const failed = startFetch()
  expect(await failed.end()).toBe(1)
  expect(failed.errors()).toContain('no route to host')
  expect(failed.errors()).toContain('settings.xml')
  expect(readdirSync(cache)).toEqual([])
})

const waiting = { timeout: 20_000, interval: 20 }

async function waitForRuns(count: number): Promise<void> {
  const readRuns = () => (existsSync(runs) ? readFileSync(runs, 'utf8').split('\n').length - 1 : 0)
  await vi.waitFor(() => expect(readRuns()).toBe(count), waiting)
}

/**
 * Puts an `mvn` first on the path that writes one jar in two steps and waits for `open` between
 * them.
 */
function installMaven(work?: string): void {
  const script = [
    '#!/bin/sh',
    'if [ "$1" = --version ]; then echo "Apache Maven 3.9.9"; exit 0; fi',
    // The last argument is -DoutputDirectory=...
    'for argument; do to=$(expr "$argument" : "[^=]*=\\(.*\\)"); done',
    work ??
      `echo half > "$to/half.jar"; echo run >> "${runs}"
      while [ ! -e "${open}" ] && [ -d "${directory}" ]; do sleep 0.05; done
      mv "$to/half.jar" "$to/whole.jar"`,
  ]
  mkdirSync(join(directory, 'bin'), { recursive: true })
  writeFileSync(join(directory, 'bin', 'mvn'), `${script.join('\n')}\n`)
  chmodSync(join(directory, 'bin', 'mvn'), 0o755)
}

/** A path with only Java on it, because on many machines Maven is in the same folder. */
function createPathWithoutMaven(): string {
  const bin = join(directory, 'java-only')
  mkdirSync(bin)
  writeFileSync(join(bin, 'java'), `#!/bin/sh\nPATH="${process.env.PATH}" exec java "$@"\n`)
  chmodSync(join(bin, 'java'), 0o755)
  return bin
}

function startFetch(env: Record<string, string> = {}): {
  child: ChildProcess
  output(): string
  errors(): string
  end(): Promise<number | null>
} {
  const module = join(import.meta.dirname, '..', '..', 'localstack', 'artifacts.ts')
  const script = `
    import { fetchKafka } from ${JSON.stringify(module)}
    await fetchKafka().then(console.log, error => {
      console.error(error.message)
      process.exitCode = 1
    })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      GAPLESS_CACHE: cache,
      PATH: `${join(directory, 'bin')}${delimiter}${process.env.PATH}`,
      ...env,
    },
  })
  const collected = { output: '', errors: '' }
  child.stdout.on('data', chunk => {
    collected.output += chunk
  })
  child.stderr.on('data', chunk => {
    collected.errors += chunk
  })
  const closed = once(child, 'close')
  return {
    child,
    output: () => collected.output,
    errors: () => collected.errors,
    end: async () => (await closed)[0],
  }
}
