import { z } from 'zod'

/** The shapes of `payload.js` for contenders that validate. */

export const Args = z.object({
  seq: z.number(),
  url: z.string(),
  title: z.string(),
  tab: z.object({ id: z.number(), windowId: z.number(), incognito: z.boolean() }),
  tags: z.array(z.string()),
  score: z.number(),
  sentAt: z.number(),
})

export const Reply = z.object({
  seq: z.number(),
  category: z.string(),
  confidence: z.number(),
  words: z.number(),
  tab: z.number(),
  ok: z.boolean(),
})

export const Item = z.object({
  seq: z.number(),
  path: z.string(),
  line: z.string(),
  column: z.number(),
  ok: z.boolean(),
})
