// Owns the list of drawings in bench/charts/, and the drawings of catching up and latency. Equal
// results give equal bytes.

import { type CatchUp, type CatchUpRun, contenderNames, type Results } from '../results/results.ts'
import { axisColours, colours, type Drawing, ran, renderSvg, valueAxis } from './chart-form.ts'
import { runsOf, type Spread, spreadFor } from './figures.ts'
import { drawGrowth } from './growth-chart.ts'
import { amount, count } from './wording.ts'

/** A file of bench/charts/. */
export type Chart = { readonly file: string; readonly title: string; readonly svg: string }

const ROOM_PX = 126
const BAR_PX = 15
const PX_PER_LETTER = 7.2
/** Vertical distance of the contenders in a row, so that equal figures do not hide each other. */
const APART_PX = 5
/** Smaller values are below the clocks' resolution and would lengthen a logarithmic axis. */
const LEAST = 0.001

/** The charts of the measured sections. */
export function drawCharts(results: Results): Chart[] {
  const { catchUp, growth, latency } = results
  const drawings = [
    ...(catchUp === undefined || catchUp.runs.length === 0
      ? []
      : [drawThroughput(catchUp), drawProcessor(catchUp)]),
    ...(growth === undefined ? [] : drawGrowth(growth)),
    ...(latency === undefined || latency.runs.length === 0 ? [] : [drawLatency(latency.runs)]),
  ]
  return drawings.map(drawing => ({
    file: drawing.file,
    title: drawing.title,
    svg: renderSvg(drawing),
  }))
}

/** Rows from the top down. */
function categoryAxis(data: string[]) {
  return {
    ...axisColours,
    type: 'category' as const,
    data,
    inverse: true,
    axisTick: { show: false },
    splitLine: { show: true, lineStyle: { color: '#d8dee4' } },
  }
}

/** Leaves room for the longest name; more than the renderer would, because fonts differ. */
function gridFor(rowNames: readonly string[]) {
  const left = 24 + Math.max(...rowNames.map(name => name.length)) * PX_PER_LETTER
  return { left, right: 80, top: 76, bottom: 50 }
}

/** `-` leaves a point out: the figure is unknown, or too small for a logarithmic axis. */
function point(spread: Spread | null): number | '-' {
  return spread === null || spread.median < LEAST ? '-' : spread.median
}

function drawThroughput(catchUp: CatchUp): Drawing {
  const names = catchUp.cases.map(each => each.name)
  const contenders = ran(catchUp.runs)
  const median = (name: string, contender: string) =>
    point(spreadFor(runsOf(catchUp, name), contender, run => run.recordsPerSecond))
  return {
    file: 'records-per-second.svg',
    title: 'Catching up: records per second (medians; more is better)',
    height: ROOM_PX + names.length * (contenders.length * BAR_PX + 14),
    option: {
      grid: gridFor(names),
      xAxis: valueAxis('records per second', 'value'),
      yAxis: categoryAxis(names),
      series: contenders.map(contender => ({
        name: contender,
        type: 'bar',
        barGap: '5%',
        itemStyle: { color: colours[contender] ?? '#000000' },
        label: {
          show: true,
          position: 'right',
          fontSize: 11,
          color: '#24292f',
          formatter: ({ value }) => (typeof value === 'number' ? amount(value) : ''),
        },
        data: names.map(name => median(name, contender)),
      })),
    },
  }
}

/** Points, not bars: on a logarithmic axis the length of a bar says nothing. */
function drawPoints(options: {
  readonly file: string
  readonly title: string
  readonly axis: string
  readonly rowNames: string[]
  readonly contenders: readonly string[]
  readonly pointOf: (row: number, contender: string) => number | '-'
}): Drawing {
  const { file, title, axis, rowNames, contenders, pointOf } = options
  return {
    file,
    title,
    height: ROOM_PX + rowNames.length * 38,
    option: {
      grid: gridFor(rowNames),
      xAxis: valueAxis(axis, 'log'),
      yAxis: categoryAxis(rowNames),
      series: contenders.map((contender, index) => ({
        name: contender,
        type: 'scatter',
        symbolSize: 11,
        symbolOffset: [0, (index - (contenders.length - 1) / 2) * APART_PX],
        itemStyle: { color: colours[contender] ?? '#000000', opacity: 0.9 },
        data: rowNames.map((name, row) => [pointOf(row, contender), name]),
      })),
    },
  }
}

function drawProcessor(catchUp: CatchUp): Drawing {
  const names = catchUp.cases.map(each => each.name)
  const sampleOf = (run: CatchUpRun) => run.processorMicrosPerRecord
  return drawPoints({
    file: 'processor-per-record.svg',
    title: 'Processor time of the replicator per record (medians; less is better)',
    axis: 'µs of one processor per record (logarithmic)',
    rowNames: names,
    contenders: ran(catchUp.runs).filter(name => name !== contenderNames.limit),
    pointOf: (row, contender) =>
      point(spreadFor(runsOf(catchUp, names[row] ?? ''), contender, sampleOf)),
  })
}

function drawLatency(runs: NonNullable<Results['latency']>['runs']): Drawing {
  const source = 'reading the source'
  const rates = [...new Set(runs.map(run => run.recordsPerSecond))].sort((a, b) => a - b)
  const percentiles = ['p50', 'p99', 'max'] as const
  const lines = rates.flatMap(rate => percentiles.map(percentile => ({ rate, percentile })))
  const contenders = ran(runs)
  return drawPoints({
    file: 'latency.svg',
    title: 'Age of a record when a consumer has it (medians of rounds; less is better)',
    axis: 'ms since the producer made it (logarithmic)',
    rowNames: lines.map(({ rate, percentile }) => `${count(rate)} records/s, ${percentile}`),
    contenders: [source, ...contenders],
    pointOf: (row, contender) => {
      const line = lines[row]
      if (line === undefined) return '-'
      const atRate = runs.filter(run => run.recordsPerSecond === line.rate)
      // The source's ages in gapless's runs: each contender slows the source's reader differently.
      if (contender === source) {
        return point(
          spreadFor(atRate, contenderNames.gapless512, run => run.source[line.percentile]),
        )
      }
      return point(spreadFor(atRate, contender, run => run.standby[line.percentile]))
    },
  })
}
