/** Offsets of the header's fields (PROTOCOL.md, section 1), to be imported as `AT`. */

export const bytes = 0
export const kind = 4
export const flags = 5
export const method = 6
export const id = 8
export const route = 12
export const timeLeft = 16
export const window = 20
export const payloadBytes = 24
export const headBytes = 28
export const segments = 30
