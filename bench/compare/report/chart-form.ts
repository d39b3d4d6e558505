// Owns the common form of all drawings: size, colours, axes, and rendering to SVG text without a
// browser. The background is light, so that drawings are legible on a dark page.

import { type EChartsOption, init } from 'echarts'
import { contenderNames } from '../results/results.ts'
import { amount } from './wording.ts'

export type Drawing = {
  readonly file: string
  readonly title: string
  readonly height: number
  readonly option: EChartsOption
}

const WIDTH = 960

/** The colours differ in lightness as well as in hue. */
export const colours: Readonly<Record<string, string>> = {
  [contenderNames.gapless512]: '#0b6e4f',
  [contenderNames.gapless1024]: '#63c29b',
  [contenderNames.mirrorMakerDefaults]: '#f0a35c',
  [contenderNames.mirrorMakerTuned]: '#b3541e',
  [contenderNames.limit]: '#9aa3ad',
  'reading the source': '#9aa3ad',
}

/** Equal drawings give equal bytes. */
export function renderSvg({ option, title, height }: Drawing): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif', color: '#24292f' },
    title: { text: title, left: 16, top: 12, textStyle: { fontSize: 16, color: '#24292f' } },
    legend: { top: 42, left: 12, itemGap: 30, textStyle: { color: '#24292f' } },
    ...option,
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return `${withoutTraces(svg)}\n`
}

/**
 * Removes the renderer's classes and ids for interactive pages. They are numbered within the
 * process, so the bytes would depend on earlier drawings.
 */
function withoutTraces(svg: string): string {
  return svg
    .replaceAll(/<style[\s\S]*?<\/style>\n?/g, '')
    .replaceAll(/ (?:class|ecmeta_\w+)="[^"]*"/g, '')
    .replaceAll(/\bzr\d+-/g, 'zr-')
}

export const axisColours = {
  axisLine: { lineStyle: { color: '#57606a' } },
  axisLabel: { color: '#24292f' },
  nameTextStyle: { color: '#24292f' },
  splitLine: { lineStyle: { color: '#d8dee4' } },
}

/** An axis with its name centred below. */
export function valueAxis(name: string, type: 'value' | 'log') {
  const formatter = (value: number) => amount(value)
  return {
    ...axisColours,
    type,
    name,
    nameLocation: 'middle' as const,
    nameGap: 30,
    axisLabel: { ...axisColours.axisLabel, formatter, hideOverlap: true },
  }
}

const shown = [
  contenderNames.gapless512,
  contenderNames.gapless1024,
  contenderNames.mirrorMakerDefaults,
  contenderNames.mirrorMakerTuned,
  contenderNames.limit,
]

/** The contenders with at least one run, in the order of the report. */
export function ran(runs: readonly { readonly contender: string }[]): string[] {
  return shown.filter(name => runs.some(run => run.contender === name))
}
