import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ImportReport } from '../../../lib/core/mirror-maker/import.ts'
import { runGapless } from '../../support/processes/command-line.ts'

// Every test starts a process, and several run at the same time.
vi.setConfig({ testTimeout: 60_000 })

const golden = join(import.meta.dirname, '../../golden/mirror-maker')
const file = (name: string, path: string) => join(golden, name, path)

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gapless-import-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const gapless = (...args: string[]) => runGapless(['import', ...args], { cwd: folder })
const read = (name: string) => readFileSync(join(folder, name), 'utf8')

/** Without the first lines, which name the files that were given. */
const behindHead = (text: string) => text.slice(text.indexOf('\nclusters:'))

describe.concurrent('gapless import', () => {
  const names = file('dedicated-names', 'in/mm2.properties')
  const expected = readFileSync(file('dedicated-names', 'gapless.yml'), 'utf8')

  test('prints gapless.yml alone on standard output, and everything about it elsewhere', async () => {
    const { code, stdout, stderr } = await gapless(names)
    expect({ code, config: behindHead(stdout) }).toEqual({ code: 0, config: behindHead(expected) })
    expect(stderr).toMatch(/^Flows: primary-to-standby\./)
    expect(stderr).toContain('replication.polcy.separator')
  })

  test('writes it with --out, and says so', async () => {
    const { code, stdout, stderr } = await gapless(names, '--out', 'new.yml')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Wrote new\.yml\. Flows: primary-to-standby\./)
    expect(behindHead(read('new.yml'))).toBe(behindHead(expected))
  })

  test('leaves a file that exists as it is, and replaces it with --force', async () => {
    writeFileSync(join(folder, 'mine.yml'), 'mine\n')
    expect(await gapless(names, '--out', 'mine.yml')).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: mine.yml exists, and was not changed; name another file with --out, or add --force to replace it\n',
    })
    expect(read('mine.yml')).toBe('mine\n')
    const forced = await gapless(names, '--out', 'mine.yml', '--force')
    expect(forced.stdout).toMatch(/^Replaced mine\.yml\. /)
    expect(behindHead(read('mine.yml'))).toBe(behindHead(expected))
  })

  test('ends with exit code 1 when something is to be decided first, also with --json', async () => {
    const { code, stdout, stderr } = await gapless(file('dedicated-secure', 'in'), '--json')
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    const report = JSON.parse(stdout) as ImportReport
    expect(report.decisions).toHaveLength(3)
    expect(report.config).toContain('# Decide before the first run:')
  })

  test('ends with exit code 2 and one line about a file that it cannot read', async () => {
    expect(await gapless('absent.properties')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'error: absent.properties: no such file; expected a configuration of MirrorMaker 2\n',
    })
  })
})
