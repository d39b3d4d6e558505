import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tryLock } from '../../../localstack/processes/folder-lock.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gapless-lock-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a lock that nobody waits for', () => {
  test('a second process is told who holds the lock, until it is released', async () => {
    const path = join(folder, 'not', 'yet', 'there.lock')
    const first = await tryLock(path)
    expect(await tryLock(path)).toEqual({ heldBy: `pid ${process.pid}` })
    if ('release' in first) await first.release()
    expect(await tryLock(path)).toHaveProperty('release')
  })

  test('the lock of a process that died is free', async () => {
    const path = join(folder, 'stale.lock')
    await mkdir(path)
    const dead = { pid: process.pid, startedAt: 'another start' }
    await writeFile(join(path, 'owner.json'), JSON.stringify(dead))
    expect(await tryLock(path)).toHaveProperty('release')
  })
})
