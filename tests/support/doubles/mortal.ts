// Kills a process at a chosen call: of the clusters and stores that it is given, that call and all
// later ones are never answered. What the process would have done next does not happen.

type Callable = (...args: unknown[]) => unknown

/** `before`: the call is never made. `after`: it is made, and its answer is lost. */
export type Death = { readonly at: number; readonly when: 'before' | 'after' }

export type Mortal<T> = {
  readonly deps: T
  /** Rejects when the process dies; never resolves. */
  readonly died: Promise<never>
  /** How many calls were made. */
  readonly calls: () => number
}

/**
 * `deps` with every function of the named parts counted. `death` null: the process lives, and its
 * calls are counted.
 */
export function mortal<T extends object>(
  deps: T,
  parts: readonly (keyof T)[],
  death: Death | null,
): Mortal<T> {
  let calls = 0
  let isDead = false
  const { promise: died, reject } = Promise.withResolvers<never>()
  died.catch(() => undefined)
  const never = new Promise<never>(() => undefined)
  const die = () => {
    isDead = true
    reject(new Error('the process was killed'))
    return never
  }
  const guard =
    (call: Callable): Callable =>
    (...args) => {
      if (isDead) return never
      calls += 1
      if (death === null || calls !== death.at) return call(...args)
      if (death.when === 'before') return die()
      return Promise.resolve(call(...args)).then(die, die)
    }
  const guarded = Object.fromEntries(
    parts.map(part => {
      const functions = Object.entries(deps[part] as Record<string, unknown>).map(
        ([name, value]) => [name, typeof value === 'function' ? guard(value as Callable) : value],
      )
      return [part, Object.fromEntries(functions)]
    }),
  )
  return { deps: { ...deps, ...guarded }, died, calls: () => calls }
}
