// Owns which topics carry heartbeats, by their names: `heartbeats` on the cluster where they are
// written, with the prefix of a cluster in front for each cluster that they were copied from, as
// MirrorMaker 2 names them. Does not own their records (core/sync/heartbeat.ts).

/** Name of the topic on the cluster where heartbeats are written. */
export const heartbeatTopic = 'heartbeats'

/**
 * The clusters that a topic of heartbeats came through, the nearest first: `b.a.heartbeats` was
 * copied from b, and there from a. Empty for `heartbeats` itself, and null for any other topic,
 * also where a part of the name is no cluster of the configuration: it is some application's topic.
 */
export function heartbeatPath(topic: string, clusters: readonly string[]): string[] | null {
  const path: string[] = []
  let rest = topic
  // Ends: the rest gets shorter each time.
  while (rest !== heartbeatTopic) {
    const cluster = longestPrefix(rest, clusters)
    if (cluster === null) return null
    path.push(cluster)
    rest = rest.slice(cluster.length + 1)
  }
  return path
}

/** The name of a cluster may itself be the beginning of another one's: `eu` and `eu.west`. */
function longestPrefix(topic: string, clusters: readonly string[]): string | null {
  const found = clusters.filter(each => topic.startsWith(`${each}.`))
  return found.toSorted((left, right) => right.length - left.length)[0] ?? null
}
