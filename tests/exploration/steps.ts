// Owns one state of the exploration and every step that may come next. A request may wait for any
// time between being served and being answered, and so may its owner. So a frozen owner, or one
// that has lost its lease, needs no step of its own.
//
// Some steps are left out because they equal others. An event that concerns one owner alone (an
// answer, a wake-up, a crash, a loss) changes nothing that others see, so it may come right behind
// the step that made it possible (`Turn`). The wait for a busy coordinator equals a request that is
// served later.

import { BrokerFailure } from '../../lib/io/failure/broker-failure.ts'
import {
  type Call,
  isDeclaration,
  isDeletion,
  isOfTable,
  isRenewal,
  onlyReads,
  STARTED_AT_MS,
  seconds,
  type TableAnswer,
  tell,
} from './call.ts'
import type { Event, OwnerNode, OwnerTree } from './owner-tree.ts'
import { type Bounds, TICK_MS, workerOf } from './scenario.ts'
import type { Answer, WorldGraph, WorldNode } from './world-graph.ts'

export const OWNERS = [0, 1] as const
export type OwnerIndex = (typeof OWNERS)[number]
const names = ['A', 'B'] as const

export type OwnerState =
  /** Starts at `fromMs` or later. */
  | { readonly kind: 'idle'; readonly fromMs: number }
  | {
      readonly kind: 'running'
      readonly startedAtMs: number
      readonly node: OwnerNode
      /**
       * For each of its calls, in order: the answer in flight, or null before the call is served.
       */
      readonly answers: readonly (Answer | null)[]
      readonly losses: number
    }
  | { readonly kind: 'ended'; readonly outcome: string }
  | { readonly kind: 'crashed' }

type Running = Extract<OwnerState, { kind: 'running' }>

/** A request whose sender no longer waits: it may be served later, or never. */
export type Stray = { readonly owner: OwnerIndex; readonly call: Call }

/**
 * The owners that an event may reach now. An answer, a wake-up, a loss or a crash concerns only its
 * owner, so no order is lost when the event comes right behind the step that made it possible.
 */
export type Turn = 'both' | OwnerIndex | 'nobody'

export type State = {
  readonly turn: Turn
  readonly world: WorldNode
  readonly nowMs: number
  readonly owners: readonly [OwnerState, OwnerState]
  readonly strays: readonly Stray[]
  /** True once the first owner's worker has met the end that the bounds allow. */
  readonly hasEnded: boolean
}

export type Step =
  | { readonly kind: 'start'; readonly owner: OwnerIndex }
  | { readonly kind: 'serve'; readonly owner: OwnerIndex; readonly at: number }
  | { readonly kind: 'answer'; readonly owner: OwnerIndex; readonly at: number }
  | { readonly kind: 'wake'; readonly owner: OwnerIndex; readonly timer: number }
  | { readonly kind: 'crash'; readonly owner: OwnerIndex }
  | { readonly kind: 'lose'; readonly owner: OwnerIndex; readonly at: number }
  | { readonly kind: 'repeat'; readonly owner: OwnerIndex; readonly at: number }
  | { readonly kind: 'stray'; readonly at: number }
  | { readonly kind: 'marker' }
  | { readonly kind: 'time-out' }
  | { readonly kind: 'end-worker'; readonly call: Extract<Call, { kind: 'end-worker' }> }
  | { readonly kind: 'time'; readonly toMs: number }

export type Context = {
  readonly bounds: Bounds
  readonly worlds: WorldGraph
  readonly trees: readonly [OwnerTree, OwnerTree]
}

/** All possible steps: any other step cannot happen, or equals one of these. */
export function stepsFrom(state: State, { bounds }: Context): Step[] {
  const steps: Step[] = []
  for (const owner of OWNERS) {
    const it = state.owners[owner]
    // Compaction comes behind the first owner's beginning, so nobody reads the source of before
    // behind an owner that reads it as it is now.
    const isTooEarly = bounds.isCompacted && state.world.leaseOwner !== names[0]
    const mayStart = it.kind === 'idle' && it.fromMs <= state.nowMs && !isTooEarly
    if (mayStart) steps.push({ kind: 'start', owner })
    if (it.kind !== 'running') continue
    steps.push(...servings(owner, it))
    if (state.turn !== 'both' && state.turn !== owner) continue
    steps.push(...arrivals(owner, it, { nowMs: state.nowMs, bounds }))
    if (bounds.crashes > 0) steps.push({ kind: 'crash', owner })
  }
  for (const [at, { owner, call }] of state.strays.entries()) {
    // Requests of one connection are read in their order.
    const isBehind = state.strays
      .slice(0, at)
      .some(each => each.owner === owner && each.call.kind === 'produce')
    if (call.kind !== 'produce' || !isBehind) steps.push({ kind: 'stray', at })
  }
  if (state.world.hasMarkerToCome) steps.push({ kind: 'marker' })
  // A living owner ends its transaction within seconds, and the time-out is a minute.
  if (state.world.hasOpenTransaction && !state.owners.some(endsTransaction)) {
    steps.push({ kind: 'time-out' })
  }
  const [first] = state.owners
  if (bounds.ends !== 'never' && !state.hasEnded && first.kind === 'running') {
    const worker = workerOf(names[0], first.startedAtMs)
    const call = { kind: 'end-worker', worker, how: bounds.ends } as const
    steps.push({ kind: 'end-worker', call })
  }
  const toMs = state.nowMs + TICK_MS
  if (toMs <= STARTED_AT_MS + bounds.ticks * TICK_MS) steps.push({ kind: 'time', toMs })
  return steps
}

function endsTransaction(it: OwnerState): boolean {
  if (it.kind !== 'running') return false
  return it.node.calls.some(({ call: { kind } }) => kind === 'addPartition' || kind === 'endTxn')
}

function servings(owner: OwnerIndex, { node, answers }: Running): Step[] {
  const steps: Step[] = []
  let isBehind = false
  for (const [at, { call }] of node.calls.entries()) {
    if (answers[at] != null) continue
    // A broker handles the requests of a connection in their order.
    const isProduce = call.kind === 'produce'
    if (!isProduce || !isBehind) steps.push({ kind: 'serve', owner, at })
    isBehind ||= isProduce
  }
  return steps
}

function arrivals(
  owner: OwnerIndex,
  it: Running,
  { nowMs, bounds }: { readonly nowMs: number; readonly bounds: Bounds },
): Step[] {
  const steps: Step[] = []
  let isBehind = false
  for (const [at, { call }] of it.node.calls.entries()) {
    const isProduce = call.kind === 'produce'
    // A broker answers the requests of a connection in their order, and they break together.
    if (isProduce && isBehind) continue
    isBehind ||= isProduce
    if (it.answers[at] != null) steps.push({ kind: 'answer', owner, at })
    if (it.losses === 0) continue
    steps.push({ kind: 'lose', owner, at })
    const mayRepeat = it.answers[at] != null || bounds.lateTableWrites
    if (isOfTable(call) && mayRepeat) steps.push({ kind: 'repeat', owner, at })
  }
  for (const { number, dueMs } of it.node.timers) {
    if (dueMs <= nowMs) steps.push({ kind: 'wake', owner, timer: number })
  }
  return steps
}

/** The state after a step; null when the step cannot be taken now after all. */
export async function take(state: State, step: Step, context: Context): Promise<State | null> {
  const after = await perform(state, step, context)
  return after === null ? null : { ...after, turn: turnAfter(state, step, after) }
}

function turnAfter({ turn }: State, step: Step, after: State): Turn {
  if (step.kind === 'time') return 'both'
  if (!('owner' in step)) return 'nobody'
  const { owner } = step
  if (after.owners[owner].kind !== 'running') return turn === 'both' && owner === 0 ? 1 : 'nobody'
  // Events of different owners do not influence each other: those of A come first.
  return turn === 'both' && owner === 0 && step.kind !== 'serve' && step.kind !== 'start'
    ? 'both'
    : owner
}

async function perform(state: State, step: Step, context: Context): Promise<State | null> {
  switch (step.kind) {
    case 'start': {
      const { world, node } = await begin(state, step.owner, context)
      return withOwner(
        { ...state, world },
        step.owner,
        await running({ ...state, world }, context, node, {
          kept: [],
          losses: context.bounds.losses,
          startedAtMs: state.nowMs,
        }),
      )
    }
    case 'time':
      return { ...state, nowMs: step.toMs }
    case 'marker':
    case 'time-out':
      return { ...state, world: await context.worlds.coordinate(state.world.id, step.kind) }
    case 'end-worker': {
      const served = await serve(context, state.world, step.call)
      return served === 'held' ? null : { ...state, world: served.world, hasEnded: true }
    }
    case 'stray': {
      const stray = state.strays[step.at]
      if (stray === undefined) return null
      const served = await serve(context, state.world, stray.call)
      if (served === 'held') return null
      const strays = state.strays.filter(each => each !== stray)
      return { ...state, world: served.world, strays }
    }
    default: {
      const it = state.owners[step.owner]
      if (it.kind !== 'running') return null
      return takeOwners(state, step, { it, context })
    }
  }
}

/**
 * Starts an owner. Nobody knows its id yet, so its claim of the row of a worker may as well be
 * answered at once, where no answer is lost.
 */
async function begin(
  { world, nowMs }: State,
  owner: OwnerIndex,
  context: Context,
): Promise<Pick<State, 'world'> & { readonly node: OwnerNode }> {
  const { bounds, trees } = context
  const node = await trees[owner].start(nowMs)
  const [claim] = node.calls
  if (!bounds.workers || bounds.losses > 0 || claim === undefined) return { world, node }
  const served = await serve(context, world, claim.call)
  if (served === 'held') throw new Error('the claim of a row is not answered')
  const { key, value } = served
  const event: Event = { kind: 'answer', call: claim.number, key, value }
  const begun = trees[owner].peek(node.id, nowMs, event)
  return { world: served.world, node: begun ?? (await trees[owner].grow(node.id, nowMs, event)) }
}

/**
 * Serves and answers a renewal of a worker right behind the wait for it, where no answer is lost. A
 * request that is late equals a wait that ends later, and a worker that does not know yet that it
 * was renewed only does less.
 */
async function renewAtOnce(
  state: State,
  owner: OwnerIndex,
  context: Context,
): Promise<State | null> {
  const it = state.owners[owner]
  if (it.kind !== 'running' || context.bounds.losses > 0) return state
  const at = it.node.calls.findIndex(({ call }, at) => it.answers[at] === null && isRenewal(call))
  if (at < 0) return state
  const served = await takeOwners(state, { kind: 'serve', owner, at }, { it, context })
  const asked = served?.owners[owner]
  if (served === null || asked?.kind !== 'running') return null
  return takeOwners(served, { kind: 'answer', owner, at }, { it: asked, context })
}

/**
 * Behind these answers the owner asks the next question without a look at the clock, so an answer
 * that is late equals a question that is served late.
 */
function isAnsweredAtOnce(call: Call, { value }: Answer): boolean {
  if (call.kind !== 'table') return false
  if (isDeletion(call)) return true
  return (value as TableAnswer).kind === 'refused' || isDeclaration(call)
}

type OwnersStep = Extract<Step, { owner: OwnerIndex }>

async function takeOwners(
  state: State,
  step: Exclude<OwnersStep, { kind: 'start' }>,
  { it, context }: { readonly it: Running; readonly context: Context },
): Promise<State | null> {
  const { owner } = step
  if (step.kind === 'crash') {
    const strays = [...state.strays, ...straysOf(owner, it, [...it.node.calls.keys()])]
    return withOwner({ ...state, strays }, owner, { kind: 'crashed' })
  }
  if (step.kind === 'wake') {
    const event: Event = { kind: 'wake', timer: step.timer }
    const after = await happen(state, { owner, it, gone: [], event }, context)
    return renewAtOnce(after, owner, context)
  }
  const asked = it.node.calls[step.at]
  if (asked === undefined) return null
  const { number, call } = asked
  const answer = it.answers[step.at] ?? null
  switch (step.kind) {
    case 'serve': {
      const served = await serve(context, state.world, call)
      if (served === 'held') return null
      const answers = it.answers.with(step.at, served)
      const asked: Running = { ...it, answers }
      const after = withOwner({ ...state, world: served.world }, owner, asked)
      if (!isAnsweredAtOnce(call, served) || context.bounds.losses > 0) return after
      return takeOwners(after, { kind: 'answer', owner, at: step.at }, { it: asked, context })
    }
    case 'answer': {
      if (answer === null) return null
      const { key, value } = answer
      const event: Event = { kind: 'answer', call: number, key, value }
      return happen(state, { owner, it, gone: [step.at], event }, context)
    }
    case 'repeat': {
      // The client repeats the request; the first attempt may still arrive later.
      const strays = answer === null ? [...state.strays, { owner, call }] : state.strays
      const answers = it.answers.with(step.at, null)
      return withOwner({ ...state, strays }, owner, { ...it, answers, losses: it.losses - 1 })
    }
    case 'lose': {
      // A connection that breaks loses every request that was sent on it.
      const gone = [...it.node.calls.keys()].filter(
        at => at === step.at || (call.kind === 'produce' && isProduce(it, at)),
      )
      const calls = gone.map(at => it.node.calls[at]?.number ?? 0)
      const event: Event = { kind: 'fail', calls, error: () => failureOf(call) }
      const strays = [...state.strays, ...straysOf(owner, it, gone)]
      const less = { ...it, losses: it.losses - 1 }
      return happen({ ...state, strays }, { owner, it: less, gone, event }, context)
    }
  }
}

function isProduce({ node }: Running, at: number): boolean {
  return node.calls[at]?.call.kind === 'produce'
}

/** Its requests that were sent, are not served, and would change the world. */
function straysOf(owner: OwnerIndex, it: Running, at: readonly number[]): Stray[] {
  return at.flatMap(each => {
    const call = it.node.calls[each]?.call
    const isOnItsWay = call !== undefined && it.answers[each] == null && !onlyReads(call)
    return isOnItsWay ? [{ owner, call }] : []
  })
}

function failureOf(call: Call): Error {
  if (isOfTable(call)) return new Error('the table did not answer')
  const cluster = call.kind === 'fetchSource' ? 'primary' : 'standby'
  return new BrokerFailure({ reason: 'unreachable', cluster, detail: 'read ECONNRESET' })
}

/** An event reaches an owner at `nowMs`; its new calls are added to those that it waits for. */
async function happen(
  state: State,
  what: {
    readonly owner: OwnerIndex
    readonly it: Running
    readonly gone: readonly number[]
    readonly event: Event
  },
  context: Context,
): Promise<State> {
  const { owner, it, event } = what
  const tree = context.trees[owner]
  const node =
    tree.peek(it.node.id, state.nowMs, event) ?? (await tree.grow(it.node.id, state.nowMs, event))
  const kept = it.node.calls.flatMap(({ number }, at) => {
    const answer = it.answers[at] ?? null
    return what.gone.includes(at) || answer === null ? [] : [{ number, answer }]
  })
  const { losses, startedAtMs } = it
  const next = await running(state, context, node, { kept, losses, startedAtMs })
  const deletion = node.calls.findIndex(({ call }) => isDeletion(call))
  if (next.kind === 'running' && deletion >= 0 && next.answers[deletion] === null && losses === 0) {
    // The last request of a run: a later one equals an earlier request that is answered later.
    const before = withOwner(state, owner, next)
    const last = { kind: 'serve', owner, at: deletion } as const
    const after = await takeOwners(before, last, { it: next, context })
    if (after !== null) return after
  }
  if (next.kind !== 'ended' || node.ended === null) return withOwner(state, owner, next)
  const left: Running = { ...it, node, answers: answersOf(node, kept) }
  const strays = [...state.strays, ...straysOf(owner, left, [...node.calls.keys()])]
  return withOwner({ ...state, strays }, owner, next)
}

type Kept = { readonly number: number; readonly answer: Answer }

function answersOf(node: OwnerNode, kept: readonly Kept[]): (Answer | null)[] {
  return node.calls.map(({ number }) => kept.find(each => each.number === number)?.answer ?? null)
}

async function running(
  state: State,
  context: Context,
  node: OwnerNode,
  {
    kept,
    losses,
    startedAtMs,
  }: {
    readonly kept: readonly Kept[]
    readonly losses: number
    readonly startedAtMs: number
  },
): Promise<OwnerState> {
  if (node.ended !== null) {
    // When another owner holds the lease, the run ends, and the next tick asks again.
    const { outcome } = node.ended
    if (outcome !== 'lease-held') return { kind: 'ended', outcome }
    // As a worker it is another one, with another id.
    return { kind: 'idle', fromMs: context.bounds.workers ? startedAtMs + TICK_MS : startedAtMs }
  }
  const answers = answersOf(node, kept)
  for (const [at, { call }] of node.calls.entries()) {
    // The source never changes, so its answer is known as soon as the request is made.
    if (answers[at] !== null || call.kind !== 'fetchSource') continue
    const served = await serve(context, state.world, call)
    if (served !== 'held') answers[at] = served
  }
  return { kind: 'running', startedAtMs, node, answers, losses }
}

async function serve({ worlds }: Context, world: WorldNode, call: Call): Promise<Answer | 'held'> {
  return worlds.peek(world.id, call) ?? (await worlds.serve(world.id, call))
}

function withOwner(state: State, owner: OwnerIndex, it: OwnerState): State {
  const [first, second] = state.owners
  return { ...state, owners: owner === 0 ? [it, second] : [first, it] }
}

/** One line of a counterexample: which owner does what. */
export function describeStep(state: State, step: Step): string {
  switch (step.kind) {
    case 'time':
      return `time passes, to ${seconds(step.toMs)}`
    case 'marker':
      return 'the coordinator writes its marker'
    case 'time-out':
      return 'the coordinator aborts the transaction of a dead owner'
    case 'end-worker':
      return tell(step.call)
    case 'stray': {
      const stray = state.strays[step.at]
      return stray === undefined ? '' : `served late, of ${names[stray.owner]}: ${tell(stray.call)}`
    }
    default:
  }
  const it = state.owners[step.owner]
  const name = names[step.owner]
  const call = it.kind === 'running' && 'at' in step ? it.node.calls[step.at]?.call : undefined
  const what = call === undefined ? '' : tell(call)
  const answer = it.kind === 'running' && 'at' in step ? it.answers[step.at] : null
  switch (step.kind) {
    case 'start':
      return `${name} starts`
    case 'crash':
      return `${name} crashes`
    case 'wake':
      return `${name} wakes from a wait`
    case 'serve':
      return `${name}: ${what}: served`
    case 'answer':
      return `${name}: ${what}: answered`
    case 'lose':
      return `${name}: ${what}: ${answer === null ? 'lost' : 'served, and the answer lost'}`
    case 'repeat':
      return `${name}: ${what}: sent again`
  }
}
