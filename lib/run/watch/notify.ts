// Owns telling people of incidents: every state of every incident at least once, never in silence.
// What was published and could not be marked is published again by the next tick; what could not be
// published fails the tick.

import { notificationsMax, notifiedIncidentsMax } from '../../core/config/defaults.ts'
import { notificationOf } from '../../core/monitoring/notification.ts'
import type { Notify } from '../../io/alert-topic.ts'
import type { NotificationStore } from '../../io/table/notification-store.ts'

/** Answers how many incidents were told of. Rejects when one could not be. */
export async function notifyIncidents(
  { notifications, notify }: { notifications: NotificationStore; notify: Notify },
  about: { readonly stage: string; readonly flow: string },
): Promise<number> {
  const untold = await notifications.listUntold(about.flow)
  const told = untold.slice(0, notificationsMax * notifiedIncidentsMax)
  for (let from = 0; from < told.length; from += notifiedIncidentsMax) {
    const some = told.slice(from, from + notifiedIncidentsMax)
    await notify(notificationOf(about, some))
    for (const incident of some) await notifications.markTold(incident)
  }
  return told.length
}
