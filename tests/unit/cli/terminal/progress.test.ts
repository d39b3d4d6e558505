import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { barLine, createProgress } from '../../../../cli/terminal/progress.ts'

/** CSI 1 G, which Node writes for column 0. */
const TO_FIRST_COLUMN = '\u001b[1G'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Progress of 1,000 events, and the lines that its output shows. */
function progressTo(terminal: { isTTY?: true; columns?: number }) {
  const output = Object.assign(new PassThrough(), terminal)
  let written = ''
  output.on('data', chunk => {
    written += String(chunk)
  })
  const note = (line: string) => output.write(`${line}\n`)
  const nowMs = () => performance.now()
  return {
    progress: createProgress({ total: 1_000, output, note, nowMs }),
    lines: () => written.split('\n').map(shownOf),
  }
}

/** What a terminal shows of a line: text after a return to column 1 replaces the text before it. */
function shownOf(line: string): string {
  return stripVTControlCharacters(line.split(TO_FIRST_COLUMN).at(-1) ?? '')
}

test('the bar says how much is done, of how much, and for how long', () => {
  expect(barLine({ done: 250, total: 1_000, elapsedMs: 5_400 })).toBe(
    `${'█'.repeat(10)}${'░'.repeat(30)} 250/1000 events, 5s`,
  )
  expect(barLine({ done: 1_000, total: 1_000, elapsedMs: 65_000 })).toBe(
    `${'█'.repeat(40)} 1000/1000 events, 1m05s`,
  )
  expect(barLine({ done: 0, total: 1_000, elapsedMs: 3_720_000 })).toContain('1h02m')
})

test('a terminal shows the bar from the start, its time also while no event is acknowledged', () => {
  const { progress, lines } = progressTo({ isTTY: true, columns: 100 })
  progress.start()
  expect(lines()).toEqual([expect.stringContaining('0/1000 events, 0s')])
  vi.advanceTimersByTime(7_000)
  expect(lines()).toEqual([expect.stringContaining('0/1000 events, 7s')])
  progress.stop()
})

test('a terminal keeps the bar as it was when progress stopped', () => {
  const { progress, lines } = progressTo({ isTTY: true, columns: 100 })
  progress.start()
  progress.update(400)
  progress.stop()
  vi.advanceTimersByTime(60_000)
  expect(lines()).toEqual([expect.stringContaining('400/1000 events, 0s'), ''])
})

test('a line that is noted while the bar is drawn stays above the bar', () => {
  const { progress, lines } = progressTo({ isTTY: true, columns: 100 })
  progress.start()
  progress.note('Stopping.')
  expect(lines()).toEqual(['Stopping.', expect.stringContaining('0/1000 events')])
  progress.stop()
})

test('the bar is cut off at the width of a narrow terminal, so that it stays one line', () => {
  const { progress, lines } = progressTo({ isTTY: true, columns: 20 })
  progress.start()
  expect(lines()).toEqual(['░'.repeat(19)])
  progress.stop()
})

test('elsewhere than at a terminal, progress is a plain line every five seconds and no bar', () => {
  const { progress, lines } = progressTo({})
  progress.start()
  for (let seconds = 1; seconds <= 10; seconds += 1) {
    vi.advanceTimersByTime(1_000)
    progress.update(seconds * 100)
  }
  progress.stop()
  expect(lines()).toEqual(['500 of 1000 events sent, 100.0 events/s', ''])
})
