import type { AlertChange } from '../hub/alerts.ts'
import type { HubStats, PeerStatus } from '../hub/answers.ts'
import type { MetricsReport } from '../hub/metrics.ts'
import type { ChildChange } from './hub.ts'
import type { ChildSpec, ChildStatus } from './supervision.ts'

/** What a hub's own process may tell it, wherever the switch runs. */
export interface HubControl {
  supervise(id: string, spec: ChildSpec): Promise<void>
  whenReady(id: string): Promise<void>
  stop(id: string): Promise<void>
  kill(id: string, signal: NodeJS.Signals): Promise<boolean>
  children(): Promise<ChildStatus[]>
  admit(id: string, type: string): Promise<void>
  who(): Promise<PeerStatus[]>
  stats(): Promise<HubStats>
  metrics(): Promise<MetricsReport>
  onMetrics(listener: (report: MetricsReport) => void): () => void
  onAlert(listener: (change: AlertChange) => void): () => void
  onChange(listener: (change: ChildChange) => void): () => void
  close(): Promise<void>
}
