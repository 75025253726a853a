/** Milliseconds of the processor that this process has used: what others on the machine take is not among them. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
