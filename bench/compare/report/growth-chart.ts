// Owns the drawings of growth: records per second and memory as records or partitions grow tenfold.
// Both axes are logarithmic, so a proportion is a straight line.

import {
  type CatchUp,
  type CatchUpCase,
  type CatchUpRun,
  contenderNames,
  type Results,
} from '../results/results.ts'
import { colours, type Drawing, ran, valueAxis } from './chart-form.ts'
import { runsOf, spreadFor } from './figures.ts'
import { count } from './wording.ts'

type Dimension = 'records' | 'partitions'

/**
 * The largest group of cases that differ only in `along`, ordered by it. Empty with fewer than two
 * cases.
 */
export function growthCases(cases: readonly CatchUpCase[], along: Dimension): CatchUpCase[] {
  const others = along === 'records' ? 'partitions' : 'records'
  const groups = new Map<number, CatchUpCase[]>()
  for (const each of cases) {
    const group = groups.get(each[others]) ?? []
    if (!group.some(known => known[along] === each[along])) group.push(each)
    groups.set(each[others], group)
  }
  const [largest = []] = [...groups.values()].sort((one, other) => other.length - one.length)
  return largest.length < 2 ? [] : largest.sort((one, other) => one[along] - other[along])
}

export function drawGrowth(growth: NonNullable<Results['growth']>): Drawing[] {
  return (['records', 'partitions'] as const).flatMap(along => {
    const cases = growthCases(growth.cases, along)
    return cases.length === 0 || growth.runs.length === 0 ? [] : [drawAlong(growth, cases, along)]
  })
}

const panels = [
  { name: 'records per second', sampleOf: (run: CatchUpRun) => run.recordsPerSecond },
  { name: 'peak memory, MB', sampleOf: (run: CatchUpRun) => run.peakMemoryMb },
]

function drawAlong(growth: CatchUp, cases: readonly CatchUpCase[], along: Dimension): Drawing {
  const contenders = ran(growth.runs).filter(name => name !== contenderNames.limit)
  const extent = cases.map(each => each[along])
  const bounds = { min: Math.min(...extent), max: Math.max(...extent) }
  const alongAxis = (gridIndex: number) => ({ ...valueAxis(along, 'log'), gridIndex, ...bounds })
  const upAxis = (name: string, gridIndex: number) => ({
    ...valueAxis(name, 'log'),
    gridIndex,
    nameLocation: 'end' as const,
    nameGap: 12,
    nameTextStyle: { color: '#24292f', align: 'left' as const },
  })
  return {
    file: `growth-${along}.svg`,
    title: `Growth: as ${along} grow from ${count(bounds.min)} to ${count(bounds.max)} (medians; both axes logarithmic)`,
    height: 420,
    option: {
      grid: [
        { left: 76, width: 370, top: 112, bottom: 56 },
        { left: 556, width: 370, top: 112, bottom: 56 },
      ],
      xAxis: panels.map((_, index) => alongAxis(index)),
      yAxis: panels.map(({ name }, index) => upAxis(name, index)),
      series: panels.flatMap(({ sampleOf }, index) =>
        contenders.map(contender => ({
          name: contender,
          type: 'line' as const,
          xAxisIndex: index,
          yAxisIndex: index,
          symbol: 'circle',
          symbolSize: 8,
          itemStyle: { color: colours[contender] ?? '#000000' },
          lineStyle: { width: 2, color: colours[contender] ?? '#000000' },
          data: cases.flatMap(each => {
            const spread = spreadFor(runsOf(growth, each.name), contender, sampleOf)
            return spread === null ? [] : [[each[along], spread.median]]
          }),
        })),
      ),
    },
  }
}
