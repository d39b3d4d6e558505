import { expect, test, vi } from 'vitest'
import { systemClock } from '../../../../lib/io/clock.ts'

test('loading kafkajs suppresses its warning about negative timers and no other warning', async () => {
  const emitted: unknown[] = []
  const spy = vi.spyOn(process, 'emitWarning').mockImplementation((...all: unknown[]) => {
    emitted.push(all[1])
  })
  try {
    // Another test file of this process may have loaded the module already.
    vi.resetModules()
    await import('../../../../cli/kafkajs/load-kafkajs.ts')
    await systemClock.wait(-1)
    process.emitWarning('anything else', 'AnotherWarning')
    expect(emitted).toEqual(['AnotherWarning'])
  } finally {
    spy.mockRestore()
  }
})
