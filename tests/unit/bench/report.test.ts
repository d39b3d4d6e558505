import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { drawCharts } from '../../../bench/compare/report/charts.ts'
import { moneyPerTerabyte } from '../../../bench/compare/report/money.ts'
import {
  neverMeasured,
  quoteMarks,
  renderQuote,
  renderReport,
  replaceQuote,
} from '../../../bench/compare/report/report.ts'
import { contenderNames, type Results } from '../../../bench/compare/results/results.ts'
import {
  formatResults,
  parseResults,
  readResults,
  saveSections,
} from '../../../bench/compare/results/store.ts'
import { renderFiles } from '../../../bench/report.ts'
import {
  catchUpOf,
  compressedCases,
  contenders,
  madeUp,
  plainCase,
} from '../../support/made-up-results.ts'

const root = join(import.meta.dirname, '../../..')
const noFigure = /\b(?:NaN|undefined|Infinity|null)\b|∞|\[object/

const rendered = (results: Results) =>
  `${renderReport(results, drawCharts(results), '')}\n${renderQuote(results)}`

test('bench/RESULTS.md, bench/charts and the block in README.md are what `npm run bench:report` writes', () => {
  const files = renderFiles(readResults())
  const texts = [...files].map(([path, text]) => [path, text] as const)
  const onDisk = texts.map(([path]) => {
    const file = join(root, path)
    return [path, existsSync(file) ? readFileSync(file, 'utf8') : null] as const
  })
  expect(onDisk).toEqual(texts)
})

test('without results there is no report, no quote and no chart', () => {
  expect(renderReport({}, [], 'commentary')).toBeNull()
  expect(renderQuote({})).toBe(neverMeasured)
  expect(drawCharts({})).toEqual([])
})

test('the same results give the same bytes, whatever was drawn before', () => {
  const first = drawCharts(madeUp)
  drawCharts({ latency: madeUp.latency })
  expect(drawCharts(madeUp)).toEqual(first)
  expect(first.map(chart => chart.file)).toEqual([
    'records-per-second.svg',
    'processor-per-record.svg',
    'growth-records.svg',
    'growth-partitions.svg',
    'latency.svg',
  ])
})

test('a section that was not measured says so, and the others are rendered', () => {
  const report = renderReport({ latency: madeUp.latency }, [], '') ?? ''
  expect(report).toContain(`## Recovery\n\n${neverMeasured}`)
  expect(report).toContain('## Latency\n\n`npm run bench`, 2026-01-02 03:04 UTC, commit abc1234')
})

test('the commentary stands where the wall is explained', () => {
  expect(renderReport(madeUp, [], 'The disk.\n')).toContain(
    '## Where the wall is\n\nThe disk.\n\n##',
  )
})

test('a round in which no record came is named', () => {
  const report = renderReport({ recovery: madeUp.recovery }, [], '') ?? ''
  expect(report).toContain('| MirrorMaker 2, tuned | none within 60 s | nothing |')
})

test('no text and no chart shows NaN, infinity or undefined, whatever was measured', () => {
  const figure = fc.double({ min: 0, max: 1e9, noNaN: true })
  const some = <Run>(runs: readonly Run[]) => fc.subarray([...runs])
  const results = fc.record({
    contenders: fc.subarray(contenders),
    rate: fc.double({ min: 1e-6, max: 1e9, noNaN: true }),
    processor: figure,
    memory: fc.double({ min: 0.1, max: 1e6, noNaN: true }),
    latency: some(madeUp.latency.runs),
    recovery: some(madeUp.recovery.runs),
    coldStart: some(madeUp.coldStart.runs),
    idle: some(madeUp.idle.runs),
    p50: fc.double({ min: -5, max: 5, noNaN: true }),
  })
  const property = fc.property(results, drawn => {
    const catchUp = catchUpOf([plainCase, ...compressedCases], () => ({
      recordsPerSecond: drawn.rate,
      processorMicrosPerRecord: drawn.processor,
      peakMemoryMb: drawn.memory,
    }))
    const runs = catchUp.runs.filter(run => drawn.contenders.some(name => name === run.contender))
    const latency = drawn.latency.map(run => ({
      ...run,
      standby: { ...run.standby, p50: drawn.p50 },
    }))
    const made: Results = {
      catchUp: { ...catchUp, runs },
      growth: {
        ...catchUp,
        runs,
        cases: [plainCase, { ...plainCase, name: 'wide', partitions: 40 }],
      },
      latency: { ...madeUp.latency, runs: latency },
      recovery: { ...madeUp.recovery, runs: drawn.recovery },
      coldStart: { ...madeUp.coldStart, runs: drawn.coldStart },
      idle: { ...madeUp.idle, runs: drawn.idle },
    }
    expect(rendered(made)).not.toMatch(noFigure)
    for (const { svg } of drawCharts(made)) expect(svg).not.toMatch(noFigure)
  })
  fc.assert(property, { numRuns: 30 })
})

test('the block in a page is replaced, and nothing else', () => {
  const page = `before\n${quoteMarks.begin}\nold\n${quoteMarks.end}\nafter\n`
  const expected = `before\n${quoteMarks.begin}\nnew $1\n${quoteMarks.end}\nafter\n`
  expect(replaceQuote(page, 'new $1')).toBe(expected)
  expect(() => replaceQuote('no marks', 'new')).toThrow('README.md: expected')
})

test('a section that is measured again replaces that section only', () => {
  const dir = mkdtempSync(join(tmpdir(), 'bench-results-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const path = join(dir, 'results.json')
  saveSections({ latency: madeUp.latency, idle: madeUp.idle }, path)
  const again = { ...madeUp.idle, runs: madeUp.idle.runs.slice(1) }
  saveSections({ idle: again }, path)
  expect(readResults(path)).toEqual({ latency: madeUp.latency, idle: again })
})

test('results are read as they were written, and anything else is refused', () => {
  expect(parseResults(formatResults(madeUp), 'made up')).toEqual(madeUp)
  const wrong = { idle: { ...madeUp.idle, runs: [{ contender: contenderNames.limit }] } }
  expect(() => parseResults(JSON.stringify(wrong), 'a file')).toThrow('a file is not what')
  expect(() => parseResults('{"catchup": {}}', 'a file')).toThrow('catchup')
})

test('a terabyte of 200 B at 0.885 µs each is 15,288 seconds of 512 MB', () => {
  const money = moneyPerTerabyte(plainCase, 0.885)
  expect(money.processorSeconds).toBeCloseTo(4_425)
  expect(money.functionSeconds).toBeCloseTo((4_425 * 1_769) / 512)
  expect(money.gbSeconds).toBeCloseTo((4_425 * 1_769) / 1_024)
  expect(money.tableWrites).toBeCloseTo((money.functionSeconds * 4) / 5)
})
