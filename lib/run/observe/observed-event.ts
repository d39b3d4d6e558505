// Owns the `observed` event, made from the views of both logs. `plan` and a run both build it here,
// so that both decide from the same facts.

import { sourceOffset, targetOffset } from '../../core/offset.ts'
import type { PartitionEvent } from '../../core/partition/decision.ts'
import { pointOf, type SeenLog } from './logs.ts'

type Observed = Extract<PartitionEvent, { kind: 'observed' }>

/** `source` was asked for all three points, `target` for its log end and perhaps its log start. */
export function observedEvent(
  source: SeenLog,
  target: SeenLog,
  found: Pick<Observed, 'cleanHandOver' | 'fetchWasOutOfRange' | 'topicIsKnown' | 'isFirstLook'>,
): Observed {
  const targetStart = target.offsets.get('log-start')
  return {
    kind: 'observed',
    source: {
      topicId: source.topicId,
      logStartOffset: sourceOffset(pointOf(source, 'log-start')),
      lastStableOffset: sourceOffset(pointOf(source, 'last-stable')),
      logEndOffset: sourceOffset(pointOf(source, 'log-end')),
    },
    target: {
      topicId: target.topicId,
      logEndOffset: targetOffset(pointOf(target, 'log-end')),
      ...(targetStart === undefined ? {} : { logStartOffset: targetOffset(targetStart) }),
    },
    ...found,
  }
}
