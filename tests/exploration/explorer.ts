// Owns visiting every state that the bounds allow, nearest first, each one once, and checking it.
// Reports how many states there were, and the shortest way to a state that is wrong.

import { type Call, STARTED_AT_MS, textOf } from './call.ts'
import { createOwnerTree } from './owner-tree.ts'
import { type Bounds, createSources, flowFor, type Sources, TICK_MS, workerOf } from './scenario.ts'
import { type Context, describeStep, type State, type Step, stepsFrom, take } from './steps.ts'
import { createWorld } from './world.ts'
import { createWorldGraph } from './world-graph.ts'

export type Counts = {
  states: number
  transitions: number
  crashes: number
  lost: number
  terminal: number
  worlds: number
  closed: number
  histories: number
}

export type Counterexample = {
  readonly problem: string
  /** One line for each step. */
  readonly story: readonly string[]
  /** Which of the possible steps was taken, each time. */
  readonly choices: readonly number[]
}

export type Exploration = {
  readonly counts: Counts
  readonly counterexample: Counterexample | null
  /** How the owners ended, and how often, over all terminal states. */
  readonly endings: ReadonlyMap<string, number>
  /** False when `statesMax` was reached first: then nothing is proved. */
  readonly isExhaustive: boolean
}

type Visited = { readonly from: number; readonly choice: number }

export async function openExploration(bounds: Bounds): Promise<{ context: Context; first: State }> {
  const sources = createSources(bounds)
  const flow = flowFor(bounds)
  const { target } = createWorld(sources, flow)
  const [source, later] = sources
  const common = { source, sourceOf: 0, target, deadline: bounds.deadline, flow } as const
  const deeds =
    bounds.beginning === 'fresh' ? [] : await dieCopying({ ...common, name: 'dead' }, sources)
  const worlds = await createWorldGraph(sources, flow, deeds)
  const first = bounds.workers ? workerOf('A', STARTED_AT_MS) : 'A'
  const trees = [
    createOwnerTree({ ...common, name: 'A' }),
    createOwnerTree({
      ...{ ...common, source: later, sourceOf: 1, name: 'B' },
      predecessor: bounds.handsOver ? first : undefined,
    }),
  ] as const
  const context = { bounds, worlds, trees }
  const idle = { kind: 'idle' as const, fromMs: STARTED_AT_MS }
  const nothing: State = {
    world: worlds.first,
    nowMs: STARTED_AT_MS,
    owners: [idle, idle],
    strays: [],
    hasEnded: false,
    turn: 'nobody',
  }
  // The first owner is called A.
  const begun = await take(nothing, { kind: 'start', owner: 0 }, context)
  return { context, first: begun ?? nothing }
}

/** Every call of a run up to its death, right after its first record was on the target. */
async function dieCopying(
  owner: Parameters<typeof createOwnerTree>[0],
  sources: Sources,
): Promise<Call[]> {
  const tree = createOwnerTree(owner)
  const world = createWorld(sources, owner.flow)
  const nowMs = STARTED_AT_MS - 2 * TICK_MS
  const deeds: Call[] = []
  let node = await tree.start(nowMs)
  for (;;) {
    const [first] = node.calls
    if (first === undefined) throw new Error('a run made no call')
    const { number, call } = first
    const served = await world.apply(call)
    if (served === 'held') throw new Error('an undisturbed run is not answered')
    deeds.push(call)
    if (call.kind === 'produce') return deeds
    const { answer: value } = served
    node = await tree.grow(node.id, nowMs, { kind: 'answer', call: number, key: '', value })
  }
}

export async function explore(
  bounds: Bounds,
  { statesMax }: { readonly statesMax: number },
): Promise<Exploration> {
  const { context, first } = await openExploration(bounds)
  const visited: Visited[] = [{ from: -1, choice: -1 }]
  const known = new Set([keyOf(first)])
  let frontier: { readonly state: State; readonly id: number }[] = [{ state: first, id: 0 }]
  const counts = {
    states: 1,
    transitions: 0,
    crashes: 0,
    lost: 0,
    terminal: 0,
    worlds: 0,
    closed: 0,
    histories: 0,
  }
  const endings = new Map<string, number>()
  const result = (counterexample: Counterexample | null, isExhaustive: boolean): Exploration => {
    counts.worlds = context.worlds.count()
    counts.closed = context.worlds.closings()
    counts.histories = context.trees.reduce((sum, tree) => sum + tree.count(), 0)
    return { counts, counterexample, endings, isExhaustive }
  }
  const counterexample = async (id: number, problem: string) => {
    const choices: number[] = []
    for (let at = id; at > 0; at = visited[at]?.from ?? -1)
      choices.unshift(visited[at]?.choice ?? -1)
    return result({ problem, choices, story: await tellStory(bounds, choices) }, false)
  }
  while (frontier.length > 0) {
    const next: typeof frontier = []
    for (const { state, id } of frontier) {
      const problem = await problemOf(state, context)
      if (problem !== null) return counterexample(id, problem)
      let isTerminal = true
      for (const [choice, step] of stepsFrom(state, context).entries()) {
        const after = await take(state, step, context)
        if (after === null) continue
        isTerminal = false
        counts.transitions += 1
        if (step.kind === 'crash') counts.crashes += 1
        if (step.kind === 'lose' || step.kind === 'repeat') counts.lost += 1
        const key = keyOf(after)
        if (known.has(key)) continue
        known.add(key)
        next.push({ state: after, id: visited.length })
        visited.push({ from: id, choice })
        counts.states += 1
      }
      if (isTerminal) {
        counts.terminal += 1
        const ending = state.owners
          .map(it => (it.kind === 'ended' ? it.outcome : it.kind))
          .join(' + ')
        endings.set(ending, (endings.get(ending) ?? 0) + 1)
      }
      if (counts.states > statesMax) return result(null, false)
    }
    frontier = next
  }
  return result(null, true)
}

/** Takes the steps again, one by one, and describes them. */
export async function tellStory(bounds: Bounds, choices: readonly number[]): Promise<string[]> {
  const { context, first } = await openExploration(bounds)
  let state = first
  const story = ['A starts']
  for (const choice of choices) {
    const step: Step | undefined = stepsFrom(state, context)[choice]
    const after = step === undefined ? null : await take(state, step, context)
    if (step === undefined || after === null) throw new Error(`there is no step ${choice} here`)
    story.push(describeStep(state, step))
    state = after
  }
  const problem = await problemOf(state, context)
  story.push(problem ?? 'no invariant is broken here')
  return story
}

async function problemOf(state: State, { worlds, bounds }: Context): Promise<string | null> {
  if (state.world.problem !== null) return state.world.problem
  for (const it of state.owners) {
    if (it.kind === 'running' && it.node.problem !== null) return it.node.problem
    if (it.kind !== 'ended') continue
    if (it.outcome === 'drained' && !state.world.isComplete) {
      return 'an owner says that all is copied, and it is not'
    }
    const isExpected = ['drained', 'deadline', 'lease-lost', 'lease-held'].includes(it.outcome)
    if (!isExpected && bounds.losses === 0)
      return `an owner ends ${it.outcome}, and nothing was wrong`
  }
  const closing = await worlds.close(state.world.id)
  return closing === null ? null : `a third owner, undisturbed, ${closing}`
}

function keyOf({ turn, world, nowMs, owners, strays, hasEnded }: State): string {
  const each = owners.map(it => {
    if (it.kind === 'running') {
      return `${it.node.id}:${it.answers.map(answer => answer?.key ?? '').join()}:${it.losses}`
    }
    if (it.kind === 'idle') return `idle ${it.fromMs}`
    return it.kind === 'ended' ? it.outcome : it.kind
  })
  const late = strays.map(({ owner, call }) => `${owner}${textOf(call)}`)
  return `${turn}|${world.id}|${nowMs}|${hasEnded}|${each.join('|')}|${late.join('|')}`
}
