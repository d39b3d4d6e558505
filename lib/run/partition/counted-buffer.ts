// Owns how long the memory of a Fetch response is in use: several batches lie in it, and it is
// released when the last of them was acknowledged. A batch that is dropped without being released
// leaves the memory to the garbage collector, which is safe: nothing is read from it afterwards.

export type CountedBuffer = { hold(): void; release(): void }

/** The creator holds the buffer once. `release` is called when the last holder released it. */
export function createCountedBuffer(release: () => void): CountedBuffer {
  let holders = 1
  return {
    hold() {
      holders += 1
    },
    release() {
      holders -= 1
      if (holders === 0) release()
    },
  }
}
