/** Policies: interceptors for clients and servers, each made by a function with options. Imports nothing of Node. */

export type { IPCMetrics } from '../core/ipcMetrics.ts'
export { type MetricsPolicy, type MetricsPolicyOptions, type MetricsSnapshot, metrics } from './metrics.ts'
