// `npm run stack` as a person uses it: up, up again, a broker that dies, another process on a port,
// down. On free ports and in a temporary folder, with DynamoDB Local, which starts faster.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kafka } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { readState } from '../../localstack/engine/stack-state.ts'
import { identifyProcess, isRunning, killProcess } from '../../localstack/processes/os-process.ts'
import { findFreePort, isPortOpen, localAddress } from '../../localstack/processes/ports.ts'

const directory = mkdtempSync(join(tmpdir(), 'gapless-stack-'))
const ports = { primary: 0, standby: 0, aws: 0 }

beforeAll(async () => {
  ports.primary = await findFreePort()
  ports.standby = await findFreePort()
  ports.aws = await findFreePort()
})

afterAll(async () => {
  await runStack(['down'])
  rmSync(directory, { recursive: true, force: true })
})

describe('a stack that was started', () => {
  let firstUp: CommandResult
  beforeAll(async () => {
    firstUp = await runStack(['up'])
  })

  test('a stack that was started answers on every port, and has the commit log', async () => {
    expect(firstUp.errors).not.toContain('already in use')
    expect(firstUp.exitCode).toBe(0)
    const status = await runStack(['status'])
    expect(readTable(status.output)).toEqual([
      ['primary', `${localAddress}:${ports.primary}`, 'running', 'yes'],
      ['standby', `${localAddress}:${ports.standby}`, 'running', 'yes'],
      ['aws', `http://${localAddress}:${ports.aws}`, 'running', 'yes'],
    ])
    expect(status.exitCode).toBe(0)
    expect(await readRetention('commit-log')).toBe('60000')
  })

  test('a stack that runs is left as it is by a second up, which says so', async () => {
    const before = readState(directory).services
    const again = await runStack(['up'])
    expect(again.output).toContain('The stack is already up')
    expect(again.exitCode).toBe(0)
    expect(readState(directory).services).toEqual(before)
  })

  test('the status shows a killed broker, and up starts it again with its data', async () => {
    await produce('kept', 'written before the kill')
    const killed = readState(directory).services.primary
    if (killed === undefined) throw new Error('up recorded no primary')
    await killProcess(killed)

    const status = await runStack(['status'])
    expect(readTable(status.output)[0]?.slice(2)).toEqual(['died', 'no'])
    expect(status.exitCode).toBe(1)

    const repair = await runStack(['up'])
    expect(repair.errors).toContain(`The primary Kafka had died (pid ${killed.pid})`)
    expect(repair.errors).not.toContain('standby')
    expect(repair.exitCode).toBe(0)
    expect(await consumeFirst('kept')).toBe('written before the kill')
  })

  test('logs prints the end of a log', async () => {
    const logs = await runStack(['logs', 'primary', '--lines', '50'])
    expect(logs.output).toContain('Kafka version: 4.3.1')
    expect(logs.exitCode).toBe(0)
  })
})

describe("somebody else's process", () => {
  test('another process on a port makes up fail with one line of remedy, and is left alone', async () => {
    const foreign = createServer(socket => socket.end())
    const port = await findFreePort()
    foreign.listen(port, localAddress)
    await once(foreign, 'listening')
    onTestFinished(() => void foreign.close())
    const elsewhere = createDirectory()
    const env = { GAPLESS_STACK_DIR: elsewhere, GAPLESS_STANDBY_PORT: String(port) }

    const refused = await runStack(['up'], { ...(await createFreePorts()), ...env })
    const lines = refused.errors.trim().split('\n')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(`${localAddress}:${port} is already in use`)
    expect(lines[0]).toContain('GAPLESS_STANDBY_PORT')
    expect(refused.exitCode).toBe(1)
    expect(readState(elsewhere).services).toEqual({})

    const down = await runStack(['down'], env)
    expect(down.output).toContain('Nothing of this stack was running.')
    expect(await isPortOpen(port)).toBe(true)
  })

  test('a process that got the pid of a stopped broker is not stopped by down', async () => {
    const stranger = spawn('sleep', ['600'], { stdio: 'ignore' })
    await once(stranger, 'spawn')
    onTestFinished(() => void stranger.kill())
    const identity = identifyProcess(stranger.pid ?? 0)
    if (identity === undefined) throw new Error('sleep did not start')
    const elsewhere = createDirectory()
    const record = { pid: identity.pid, startedAt: 'long ago', port: 9092, logFile: 'none' }
    const state = { engine: 'host', services: { primary: record } }
    writeFileSync(join(elsewhere, 'state.json'), JSON.stringify(state))

    const down = await runStack(['down'], { GAPLESS_STACK_DIR: elsewhere })
    expect(down.errors).toContain(`pid ${identity.pid} is no process of this stack`)
    expect(down.exitCode).toBe(0)
    expect(isRunning(identity)).toBe(true)
  })
})

describe('a machine that lacks something', () => {
  test.each([
    { lacks: 'Java', env: { JAVA_HOME: '/nowhere' }, says: /^Java was not found .*Install a JRE/ },
    { lacks: 'a valid port', env: { GAPLESS_AWS_PORT: 'x' }, says: /^GAPLESS_AWS_PORT is "x", / },
    {
      lacks: 'Docker',
      env: { GAPLESS_STACK: 'docker', PATH: '' },
      says: /no Docker engine answers/,
    },
  ])(
    'up on a machine without $lacks exits 1 with one line that names the remedy',
    async ({ env, says }) => {
      const elsewhere = createDirectory()
      const up = await runStack(['up'], {
        ...(await createFreePorts()),
        GAPLESS_STACK_DIR: elsewhere,
        ...env,
      })
      const lines = up.errors.trim().split('\n')
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(says)
      expect(up.exitCode).toBe(1)
    },
  )
})

describe('down', () => {
  test('down stops every process of the stack, and says so when there is none', async () => {
    await runStack(['up'])
    const { primary, standby, aws } = readState(directory).services
    const processes = [primary, standby, aws].filter(record => record !== undefined)
    expect(processes).toHaveLength(3)

    const down = await runStack(['down'])
    expect(down.output).toContain('The stack is down.')
    expect(processes.filter(isRunning)).toEqual([])
    expect(readState(directory).services).toEqual({})
    expect(readFileSync(join(directory, 'primary', 'kafka.log'), 'utf8')).not.toBe('')

    const again = await runStack(['down'])
    expect(again.output).toContain('Nothing of this stack was running.')
    expect(again.exitCode).toBe(0)
  })
})

type CommandResult = { exitCode: number | null; output: string; errors: string }

/** Runs `npm run stack -- ARGS` without npm. */
async function runStack(args: string[], env: Record<string, string> = {}): Promise<CommandResult> {
  const child = spawn(process.execPath, [join('localstack', 'stack.ts'), ...args], {
    cwd: join(import.meta.dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      GAPLESS_STACK: 'host',
      GAPLESS_AWS: 'dynamodb-local',
      GAPLESS_STACK_DIR: directory,
      GAPLESS_PRIMARY_PORT: String(ports.primary),
      GAPLESS_STANDBY_PORT: String(ports.standby),
      GAPLESS_AWS_PORT: String(ports.aws),
      ...env,
    },
  })
  const result: CommandResult = { exitCode: null, output: '', errors: '' }
  child.stdout.on('data', chunk => {
    result.output += chunk
  })
  child.stderr.on('data', chunk => {
    result.errors += chunk
  })
  // 'close' also waits for every process that inherited an output, so a service that inherits one
  // makes this test hang.
  const [exitCode] = await once(child, 'close')
  return { ...result, exitCode }
}

/** A folder for a second stack, which is removed when the test ends. */
function createDirectory(): string {
  const created = mkdtempSync(join(tmpdir(), 'gapless-stack-'))
  onTestFinished(() => rmSync(created, { recursive: true, force: true }))
  return created
}

async function createFreePorts(): Promise<Record<string, string>> {
  return {
    GAPLESS_PRIMARY_PORT: String(await findFreePort()),
    GAPLESS_STANDBY_PORT: String(await findFreePort()),
    GAPLESS_AWS_PORT: String(await findFreePort()),
  }
}

/** The rows of a printed table, without the column of pids. */
function readTable(output: string): string[][] {
  const rows = output.split('\n').filter(line => line.startsWith('│'))
  const cells = rows.map(row => row.split('│').slice(1, -1))
  return cells.slice(1).map(row => row.map(cell => cell.trim()).filter((_, index) => index !== 2))
}

function connectToPrimary(): Kafka {
  return new kafkajs.Kafka({
    brokers: [`${localAddress}:${ports.primary}`],
    logLevel: kafkajs.logLevel.NOTHING,
  })
}

async function readRetention(topic: string): Promise<string | undefined> {
  const admin = connectToPrimary().admin()
  await admin.connect()
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    // Resource type 2 is a topic.
    resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }],
  })
  await admin.disconnect()
  return resources[0]?.configEntries[0]?.configValue
}

async function produce(topic: string, value: string): Promise<void> {
  const kafka = connectToPrimary()
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic }] })
  await admin.disconnect()
  // The producer retries until the broker knows the topic, and waitForLeaders would fail.
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, acks: -1, messages: [{ value }] })
  await producer.disconnect()
}

async function consumeFirst(topic: string): Promise<string | undefined> {
  const consumer = connectToPrimary().consumer({ groupId: 'stack-test' })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const value = await new Promise<string | undefined>(resolve => {
    void consumer.run({
      eachMessage: async ({ message }) => resolve(message.value?.toString()),
    })
  })
  await consumer.disconnect()
  return value
}
