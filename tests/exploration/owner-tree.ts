// Owns what an owner does after any history of answers. An owner is a deterministic function of the
// answers and their times, so the same history need be run only once. The histories form a tree,
// and an edge is keyed by the time only when the owner read the clock on the way. A history that
// must go on differently is run again from its start.
//
// Histories of the same events at other times are one node when the owner is in the same state
// after them: the same calls with the same contents, the same waits, the same end of its lease as
// the owner knows it. Nothing else of an owner depends on the time, except when an incident was
// detected, and there is none.

import type { FlowConfig } from '../../lib/core/config/config.ts'
import type { FakeCluster } from '../support/doubles/fake-cluster.ts'
import { type Call, copyOf, textOf } from './call.ts'
import { type Owner, startOwner } from './owner.ts'

export type Event =
  /** `value` is copied for every history; `key` tells answers apart. */
  | {
      readonly kind: 'answer'
      readonly call: number
      readonly key: string
      readonly value: unknown
    }
  | { readonly kind: 'fail'; readonly calls: readonly number[]; readonly error: () => Error }
  | { readonly kind: 'wake'; readonly timer: number }

export type OwnerNode = {
  readonly id: number
  readonly calls: readonly { readonly number: number; readonly call: Call }[]
  readonly timers: readonly { readonly number: number; readonly dueMs: number }[]
  readonly ended: {
    readonly outcome: string
    readonly detail: string
    readonly at: bigint | null
  } | null
  readonly problem: string | null
}

type Step = { readonly nowMs: number; readonly event: Event }
type Inner = {
  readonly node: OwnerNode
  /** The events so far, without their times. */
  readonly events: string
  readonly parent: Inner | null
  readonly step: Step | null
  /** Keyed by event, or by event and time where the owner read the clock. */
  readonly edges: Map<string, Inner>
  readonly timeless: Map<string, boolean>
}

/** Suspended runs, kept in order to go on without running the history again. */
const LIVE_MAX = 4_000

export type OwnerTree = ReturnType<typeof createOwnerTree>

export function createOwnerTree(input: {
  readonly name: string
  readonly source: FakeCluster
  readonly sourceOf: 0 | 1
  readonly target: FakeCluster
  readonly deadline: number
  readonly predecessor?: string | undefined
  readonly flow: FlowConfig
}) {
  const nodes: Inner[] = []
  const roots = new Map<number, Inner>()
  const live = new Map<Inner, Owner>()
  const byKey = new Map<string, Inner>()
  const ids = new Map<string, string>()
  const idOf = (text: string): string => {
    const id = ids.get(text) ?? String(ids.size)
    ids.set(text, id)
    return id
  }

  const enter = (owner: Owner, parent: Inner | null, step: Step | null): Inner => {
    const events =
      parent === null || step === null ? '' : idOf(`${parent.events} ${nameOf(step.event)}`)
    const seen = snapshot(owner)
    const key = textOf([events, seen, owner.knowsLease()])
    const known = byKey.get(key)
    if (known !== undefined) return known
    const node = { id: nodes.length, ...seen }
    const inner: Inner = { node, events, parent, step, edges: new Map(), timeless: new Map() }
    nodes.push(inner)
    byKey.set(key, inner)
    live.set(inner, owner)
    const [oldest] = live.keys()
    if (live.size > LIVE_MAX && oldest !== undefined) live.delete(oldest)
    return inner
  }
  /** A run that has reached `inner`, for the caller to take further. */
  const runTo = async (inner: Inner): Promise<Owner> => {
    const left = live.get(inner)
    if (left !== undefined) {
      live.delete(inner)
      return left
    }
    const steps: Step[] = []
    let root = inner
    while (root.parent !== null) {
      if (root.step !== null) steps.unshift(root.step)
      root = root.parent
    }
    const startedAtMs = [...roots].find(([, each]) => each === root)?.[0]
    if (startedAtMs === undefined) throw new Error('a history without a start')
    const owner = await startOwner({ ...input, nowMs: startedAtMs })
    for (const step of steps) await perform(owner, step)
    return owner
  }
  const innerOf = (id: number): Inner => {
    const inner = nodes[id]
    if (inner === undefined) throw new Error(`no history ${id}`)
    return inner
  }
  return {
    count: () => nodes.length,
    node: (id: number): OwnerNode => innerOf(id).node,
    async start(nowMs: number): Promise<OwnerNode> {
      const known = roots.get(nowMs)
      if (known !== undefined) return known.node
      const root = enter(await startOwner({ ...input, nowMs }), null, null)
      roots.set(nowMs, root)
      return root.node
    },
    /** The known state after an event; null: it must be grown. */
    peek(id: number, nowMs: number, event: Event): OwnerNode | null {
      const inner = innerOf(id)
      const name = nameOf(event)
      const isTimeless = inner.timeless.get(name)
      if (isTimeless === undefined) return null
      return inner.edges.get(isTimeless ? name : `${name} at ${nowMs}`)?.node ?? null
    },
    async grow(id: number, nowMs: number, event: Event): Promise<OwnerNode> {
      const inner = innerOf(id)
      const owner = await runTo(inner)
      const step = { nowMs, event }
      await perform(owner, step)
      const name = nameOf(event)
      const isTimeless = !owner.sawTime()
      inner.timeless.set(name, isTimeless)
      const next = enter(owner, inner, step)
      inner.edges.set(isTimeless ? name : `${name} at ${nowMs}`, next)
      return next.node
    },
  }
}

function nameOf(event: Event): string {
  switch (event.kind) {
    case 'answer':
      return `answer ${event.call} ${event.key}`
    case 'fail':
      return `fail ${event.calls.join()}`
    case 'wake':
      return `wake ${event.timer}`
  }
}

function perform(owner: Owner, { nowMs, event }: Step): Promise<void> {
  switch (event.kind) {
    case 'answer':
      return owner.answer(nowMs, event.call, copyOf(event.value))
    case 'fail':
      return owner.fail(nowMs, event.calls, event.error())
    case 'wake':
      return owner.wake(nowMs, event.timer)
  }
}

function snapshot(owner: Owner): Omit<OwnerNode, 'id'> {
  const [report] = owner.report()?.partitions ?? []
  const failures = owner.report()?.failures ?? []
  const calls = [...owner.calls].map(([number, call]) => ({ number, call }))
  const timers = [...owner.timers].map(([number, { dueMs }]) => ({ number, dueMs }))
  const state = report?.state
  const ended =
    report === undefined
      ? null
      : {
          outcome: report.outcome,
          detail: report.detail ?? '',
          at:
            state === undefined || state.kind === 'unstarted'
              ? null
              : (state.position?.nextSourceOffset ?? null),
        }
  const isStuck = ended === null && calls.length === 0 && timers.length === 0
  const problem =
    owner.problem() ??
    (failures.length > 0 ? failures.join('; ') : null) ??
    (isStuck ? 'a run waits for nothing' : null)
  return { calls, timers, ended, problem }
}
