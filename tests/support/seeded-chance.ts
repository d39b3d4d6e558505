// Random numbers from a seed: the same numbers in the same order on every machine.

export type Chance = {
  /** From `min` to `max`, both included. */
  integer(min: number, max: number): number
  /** True in one of `n` cases. */
  oneIn(n: number): boolean
  pick<T>(all: readonly [T, ...T[]]): T
}

/** mulberry32: 32 bits of state are enough to choose moments and sizes. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return {
    integer,
    oneIn: n => integer(1, n) === 1,
    pick: all => all[integer(0, all.length - 1)] ?? all[0],
  }
}
