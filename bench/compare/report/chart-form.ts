// Owns what all drawings have in common: size, colours, axes, and how an option becomes SVG text,
// without a browser. Light background of their own, so they are read in a dark page, too.

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

/** Told apart by lightness as well as by hue. */
export const colours: Readonly<Record<string, string>> = {
  [contenderNames.gapless512]: '#0b6e4f',
  [contenderNames.gapless1024]: '#63c29b',
  [contenderNames.mirrorMakerDefaults]: '#f0a35c',
  [contenderNames.mirrorMakerTuned]: '#b3541e',
  [contenderNames.limit]: '#9aa3ad',
  'reading the source': '#9aa3ad',
}

/** The same drawing gives the same bytes. */
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
 * What the renderer adds for a page with a mouse: classes and parts numbered within the process,
 * which would make a file depend on what was drawn before it.
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

/** Along the bottom, with its name in the middle below. */
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

/** Contenders that ran at all. */
export function ran(runs: readonly { readonly contender: string }[]): string[] {
  return shown.filter(name => runs.some(run => run.contender === name))
}
