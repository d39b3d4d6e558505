import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runGapless } from '../../support/processes/command-line.ts'

// Every test starts a process, and several run at the same time.
vi.setConfig({ testTimeout: 60_000 })

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gapless-cli-'))
  writeFileSync(
    join(folder, 'good.yml'),
    'clusters: { a: { brokers: "127.0.0.1:1" }, b: { brokers: "127.0.0.1:1" } }\n' +
      'flows:\n' +
      '  - { name: one, from: a, to: b, topics: [t] }\n' +
      '  - { name: two, from: b, to: a, topics: [t] }\n',
  )
  writeFileSync(join(folder, 'bad.yml'), 'clusters: {}\nflows: [{ nam: x }]\n')
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Runs gapless in an otherwise empty folder, with no environment but `env`. */
const gapless = (args: string[], env: Record<string, string> = {}) =>
  runGapless(args, { cwd: folder, env })

const commands = [
  'init',
  'import',
  'run',
  'status',
  'incidents',
  'resume',
  'translate',
  'topics',
  'reset-topic',
  'produce',
]

const wrongPlace = (text: string) =>
  `error: command-argument value '${text}' is invalid for argument 'topic:partition@offset'. ` +
  'Expected TOPIC:PARTITION@OFFSET, for example commit-log:0@1234.'

describe.concurrent('Help', () => {
  test('the help of the program lists every command and what the exit codes mean', async () => {
    const { code, stdout, stderr } = await gapless(['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
    expect(stdout).toContain(
      '0 all well, 1 failed, 2 wrong usage or configuration, 3 a partition is halted',
    )
  })

  test.each(commands)('gapless %s --help works without a configuration', async command => {
    const { code, stdout, stderr } = await gapless([command, '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`Usage: gapless ${command}`)
  })

  test('gapless without a command is wrong usage, and prints its help on standard error', async () => {
    const { code, stdout, stderr } = await gapless([])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: gapless')
  })
})

const produce = (...rest: string[]) => ['produce', '--broker', 'b:1', '--topic', 't', ...rest]

describe.concurrent('Wrong usage', () => {
  test.each<[string[], string]>([
    [['nope'], "error: unknown command 'nope'"],
    [['statu'], "error: unknown command 'statu' (Did you mean status?)"],
    [['status', '--jsn'], "error: unknown option '--jsn' (Did you mean --json?)"],
    [['status', 'x'], "error: too many arguments for 'status'. Expected 0 arguments but got 1: x."],
    [
      ['run'],
      'error: run needs --once: only the deployed functions run on a schedule (see README)',
    ],
    [['resume'], "error: missing required argument 'topic:partition'"],
    [
      ['resume', 'commit-log'],
      "error: command-argument value 'commit-log' is invalid for argument 'topic:partition'. Expected TOPIC:PARTITION, for example commit-log:0.",
    ],
    [
      ['resume', 't:0', '--from', '-1'],
      "error: option '--from <point>' argument '-1' is invalid. Expected log-start or an offset (0 or more).",
    ],
    [
      ['resume', 't:0', '--from', '9223372036854775808'],
      "error: option '--from <point>' argument '9223372036854775808' is invalid. Expected log-start or an offset (0 or more).",
    ],
    [['translate', 't:0'], wrongPlace('t:0')],
    [['translate', 't:0@-1'], wrongPlace('t:0@-1')],
    [
      ['reset-topic', 'a/b'],
      "error: command-argument value 'a/b' is invalid for argument 'topic'. Expected a topic name: 1 to 249 of a-z A-Z 0-9 . _ -",
    ],
    [
      ['reset-topic', 't'],
      'error: reset-topic asks before it deletes, and there is no terminal to ask at: add --yes to delete without asking',
    ],
    [
      ['reset-topic', '__consumer_offsets', '--yes'],
      "error: __consumer_offsets is one of Kafka's internal topics: a cluster does not survive its reset",
    ],
    [
      ['produce', '--topic', 't', '--count', '1'],
      "error: required option '--broker <host:port>' not specified",
    ],
    [produce(), "error: required option '--count <events>' not specified"],
    [
      produce('--count', '0'),
      "error: option '--count <events>' argument '0' is invalid. Expected a whole number from 1 to 1000000000.",
    ],
    [
      produce('--count', '1e3'),
      "error: option '--count <events>' argument '1e3' is invalid. Expected a whole number from 1 to 1000000000.",
    ],
    [
      produce('--count', '1', '--rate', '-5'),
      "error: option '--rate <events>' argument '-5' is invalid. Expected a whole number from 0 to 1000000.",
    ],
    [
      produce('--count', '1', '--size', '127'),
      "error: option '--size <bytes>' argument '127' is invalid. Expected a whole number from 128 to 1000000.",
    ],
    [
      ['produce', '--broker', 'b', '--topic', 't', '--count', '1'],
      "error: option '--broker <host:port>' argument 'b' is invalid. Expected host:port, or several with commas between them.",
    ],
    [
      ['produce', '--broker', 'b:70000', '--topic', 't', '--count', '1'],
      "error: option '--broker <host:port>' argument 'b:70000' is invalid. Expected host:port, or several with commas between them.",
    ],
  ])('gapless %j ends with exit code 2 and one line', async (args, line) => {
    expect(await gapless(args)).toEqual({ code: 2, stdout: '', stderr: `${line}\n` })
  })
})

describe.concurrent('A wrong configuration', () => {
  test.each(['run --once', 'status', 'incidents', 'resume t:0', 'topics', 'reset-topic t --yes'])(
    'gapless %s without a configuration ends with exit code 2 and names the file to write',
    async args => {
      expect(await gapless(args.split(' '))).toEqual({
        code: 2,
        stdout: '',
        stderr:
          'error: gapless.yml: no such file; write a configuration there, or set GAPLESS_CONFIG to the path of one ' +
          '(docs/CONFIG.md shows the smallest)\n',
      })
    },
  )

  test('a wrong configuration ends with exit code 2 and a line per problem, also with --json', async () => {
    const { code, stdout, stderr } = await gapless(['status', '--json'], {
      GAPLESS_CONFIG: 'bad.yml',
    })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.trimEnd().split('\n')).toEqual([
      'error: bad.yml:2: flows[0].name is missing; accepted: letters, digits, . _ -',
      'error: bad.yml:2: flows[0].from is missing; accepted: the name of a cluster',
      'error: bad.yml:2: flows[0].to is missing; accepted: the name of a cluster',
      'error: bad.yml:2: flows[0].topics is missing; accepted: a list of topics',
      'error: bad.yml:2: flows[0].nam is not accepted: no such key; did you mean "name"? known keys: see docs/CONFIG.md',
    ])
  })

  test.each<[string[], string]>([
    [['incidents', '--flow', 'x'], 'error: no flow is named "x"; the configuration has one, two'],
    [['resume', 't:0'], 'error: several flows are configured, choose one with --flow: one, two'],
    [['translate', 't:0@1'], 'error: several flows copy topic t, choose one with --flow: one, two'],
    [['translate', 'x:0@1'], 'error: no flow copies a topic x; looked at: one, two'],
    [
      ['translate', 'a.t:0@1', '--back', '--flow', 'two'],
      'error: no flow copies a topic a.t; looked at: two',
    ],
    [
      ['reset-topic', 't', '--yes'],
      'error: no cluster is named "primary"; the configuration has a, b',
    ],
    [['topics', '--cluster', 'x'], 'error: no cluster is named "x"; the configuration has a, b'],
  ])(
    'gapless %j ends with exit code 2 and names the flows or clusters to choose from',
    async (args, line) => {
      expect(await gapless(args, { GAPLESS_CONFIG: 'good.yml' })).toEqual({
        code: 2,
        stdout: '',
        stderr: `${line}\n`,
      })
    },
  )
})

describe.concurrent('A service that does not answer', () => {
  const aws = {
    GAPLESS_CONFIG: 'good.yml',
    AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  }

  test('produce to a broker that does not answer ends with exit code 1 and one line', async () => {
    const args = ['produce', '--broker', '127.0.0.1:1', '--topic', 't', '--count', '1']
    expect(await gapless(args)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'error: Kafka at 127.0.0.1:1: could not look up topic t: connect ECONNREFUSED 127.0.0.1:1. ' +
        'Check that a Kafka broker answers at 127.0.0.1:1.\n',
    })
  })

  test('topics names each cluster that does not answer, and still prints its JSON', async () => {
    const { code, stdout, stderr } = await gapless(['topics', '--json'], aws)
    const error = 'broker 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1'
    expect(JSON.parse(stdout)).toEqual({
      clusters: [
        { name: 'a', topics: [], error },
        { name: 'b', topics: [], error },
      ],
    })
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: Cluster a: ${error}\nerror: Cluster b: ${error}\n`,
    })
  })

  test.each(['init', 'incidents', 'status'])(
    '%s ends with exit code 1 and one line when DynamoDB does not answer',
    async command => {
      const { code, stdout, stderr } = await gapless([command], aws)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^error: .*127\.0\.0\.1:1.*\n$/)
    },
  )

  test('GAPLESS_DEBUG=1 adds the stack trace to an error', async () => {
    const { code, stderr } = await gapless(['init'], { ...aws, GAPLESS_DEBUG: '1' })
    expect(code).toBe(1)
    expect(stderr).toMatch(/\n\s+at /)
  })
})
