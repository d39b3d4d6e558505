// Owns the padding of a partition whose source log begins at S > 0: the empty log of the target is
// filled up to S with records that mean nothing (fillers), and DeleteRecords moves its log start to
// S, so that the first copied record has its own offset. This file holds what is stored of it, and
// when it is done. Does not own the requests (run/pad).
//
//   filling --filled, hidden, configs as before--> done
//   filling --nothing can be appended, or hidden--> impossible
//   done --fillers are visible, and the policy forbids DeleteRecords--> hiding --hidden--> done
//
// The broker writes the log start to its disk once a minute, so a broker that is killed behind
// DeleteRecords shows the fillers again: a partition that is `done` is looked at for good.

import { type TargetOffset, targetOffset } from '../offset.ts'
import { paddingOffsetsMax, paddingOffsetsMin } from './padding-limits.ts'
import { begunAt, type SameOffsets, shiftedTo } from './same-offsets.ts'

/** Why a target cannot be padded: offsets are shifted then. */
export const paddingObstacles = [
  /** There are more offsets than `paddingOffsetsMax` in front of the first record. */
  'too-many-offsets',
  /** compression.type is not `producer`: the broker would write each batch of fillers anew. */
  'compression-type',
  /** max.message.bytes is below a batch of `paddingRecordsMin` fillers. */
  'small-batches',
  /** DescribeConfigs is denied. */
  'configs-denied',
  /** AlterConfigs is denied, which a compacted topic needs, or the change is refused. */
  'alter-denied',
  /** DeleteRecords is denied, or the cluster does not know it. */
  'delete-denied',
  /** The broker refused the first batch of fillers. */
  'fillers-refused',
] as const

export type PaddingObstacle = (typeof paddingObstacles)[number]

/**
 * The configs that a compacted topic gets while it is padded, as they were before; null: not set
 * on the topic. DeleteRecords is refused without `delete` in cleanup.policy, and with it retention
 * must not delete records of the topic's other partitions.
 */
export type ConfigsBefore = Readonly<Record<PaddedConfig, string | null>>

export const paddedConfigs = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const

type PaddedConfig = (typeof paddedConfigs)[number]

export type Padding =
  /** What the target holds below `to` are fillers, and no record was copied. */
  | {
      readonly stage: 'filling'
      readonly to: TargetOffset
      readonly restores: ConfigsBefore | null
    }
  /** The topic has other configs, so that fillers that were visible again can be deleted. */
  | { readonly stage: 'hiding'; readonly to: TargetOffset; readonly restores: ConfigsBefore }
  /** The log start was seen at `to`. */
  | { readonly stage: 'done'; readonly to: TargetOffset }
  /** Set once, where a partition begins. */
  | { readonly stage: 'impossible'; readonly obstacle: PaddingObstacle }

type Filling = Extract<Padding, { stage: 'filling' }>

/** The configs that the topic is to get back; null: it has its own. */
export function owedConfigs(padding: Padding | undefined): ConfigsBefore | null {
  return padding?.stage === 'filling' || padding?.stage === 'hiding' ? padding.restores : null
}

/** Where the log start of a padded target is to be; null: it is not padded. */
export function paddedUpTo(padding: Padding | undefined): TargetOffset | null {
  return padding === undefined || padding.stage === 'impossible' ? null : padding.to
}

/** The padding once the topic has other configs, which are those `before`; null: its own again. */
export function withConfigs(padding: Padding, before: ConfigsBefore | null): Padding {
  switch (padding.stage) {
    case 'impossible':
      return padding
    case 'filling':
      return { ...padding, restores: before }
    case 'hiding':
    case 'done': {
      const { to } = padding
      return before === null ? { stage: 'done', to } : { stage: 'hiding', to, restores: before }
    }
  }
}

/** Where copying begins: `targetOffset` is the end of the target's log. */
type Beginning = Parameters<typeof begunAt>[0]

/** The distance of a log that begins, and the padding that makes it 0. */
export function begunPadded(
  at: Beginning,
  seen: Pick<SameOffsets, 'atMs' | 'reason'>,
): { readonly sameOffsets: SameOffsets; readonly padding?: Padding } {
  const missing = BigInt(at.sourceOffset) - BigInt(at.targetOffset)
  const sameOffsets = begunAt(at, seen)
  // A few are filled by markers, which no consumer ever sees, and a log with records keeps them.
  if (missing < paddingOffsetsMin || at.targetOffset > 0n) return { sameOffsets }
  if (missing > paddingOffsetsMax) {
    return { sameOffsets, padding: { stage: 'impossible', obstacle: 'too-many-offsets' } }
  }
  return paddedTo(at.sourceOffset, seen)
}

/** The distance is 0 once the target is padded up to this offset. */
export function paddedTo(
  offset: Beginning['sourceOffset'],
  seen: Pick<SameOffsets, 'atMs' | 'reason'>,
): { readonly sameOffsets: SameOffsets; readonly padding: Filling } {
  const to = targetOffset(offset)
  const sameOffsets = shiftedTo({ sourceOffset: offset, targetOffset: to }, seen)
  return { sameOffsets, padding: { stage: 'filling', to, restores: null } }
}

/**
 * True when the fillers must be hidden before anything else: before an earlier owner's records are
 * looked for, and before one is copied. Where the log start was not asked for, nothing is known.
 */
export function hidesFirst(
  padding: Padding | undefined,
  logStart: TargetOffset | undefined,
): boolean {
  switch (padding?.stage) {
    case 'filling':
    case 'hiding':
      return true
    case 'done':
      return logStart !== undefined && logStart < padding.to
    case 'impossible':
    case undefined:
      return false
  }
}

const SEQUENCE_LIMIT = 2n ** 31n

/**
 * The sequence of the filler at this offset. The first filler has offset and sequence 0, and every
 * filler takes one of each, so that offset and sequence say the same (see run/pad/fill.ts).
 */
export function sequenceAt(offset: bigint): number {
  return Number(offset % SEQUENCE_LIMIT)
}

/**
 * The fillers of the next batch: a power of two, so that a run has a few different batches only,
 * and the same one for every owner that finds the log ending at `from`.
 */
export function nextFillers(from: bigint, to: bigint, recordsMax: number): number {
  let count = recordsMax
  while (BigInt(count) > to - from && count > 1) count /= 2
  return count
}

/** As one attribute of the checkpoint's row. */
export function writePadding(padding: Padding): string {
  switch (padding.stage) {
    case 'done':
      return `done ${padding.to}`
    case 'impossible':
      return `impossible ${padding.obstacle}`
    case 'filling':
    case 'hiding': {
      const { stage, to, restores } = padding
      const configs = restores === null ? [] : paddedConfigs.map(each => [each, restores[each]])
      const texts = configs.map(([name, value]) => ` ${name}${value === null ? '' : `=${value}`}`)
      return `${stage} ${to}${texts.join('')}`
    }
  }
}

const shape = /^(filling|hiding|done) (\d{1,19})((?: [a-z.]+(?:=\S+)?)*)$/

/** null: the text is not in the form that `writePadding` writes. */
export function readPadding(text: string): Padding | null {
  const obstacle = paddingObstacles.find(each => text === `impossible ${each}`)
  if (obstacle !== undefined) return { stage: 'impossible', obstacle }
  const [, stage, digits, configs] = shape.exec(text) ?? []
  if (digits === undefined || configs === undefined || BigInt(digits) >= 2n ** 63n) return null
  const to = targetOffset(BigInt(digits))
  if (stage === 'done') return configs === '' ? { stage, to } : null
  const restores = configs === '' ? null : readConfigs(configs)
  if (stage === 'filling') return { stage, to, restores }
  return stage === 'hiding' && restores !== null ? { stage, to, restores } : null
}

function readConfigs(text: string): ConfigsBefore {
  const values = new Map<string, string>()
  for (const each of text.trim().split(' ')) {
    const at = each.indexOf('=')
    if (at > 0) values.set(each.slice(0, at), each.slice(at + 1))
  }
  return {
    'cleanup.policy': values.get('cleanup.policy') ?? null,
    'retention.ms': values.get('retention.ms') ?? null,
    'retention.bytes': values.get('retention.bytes') ?? null,
  }
}
