/** Every bound of the reader, in one place. Characters are UTF-16 code units. */

/** Bytes read from the disk at once, and so about the size of one item of a text stream. */
export const CHUNK_BYTES = 64 * 1024
/** A longer line is handed over in pieces of this size. */
export const LINE_CHARS = 64 * 1024
/** Files beyond this size are refused; all others are read to their end, chunk by chunk. */
export const FILE_BYTES = 1024 * 1024 * 1024
/** Structure (headings, links, sentences) is taken from the first 2 MB; words are counted in all of it. */
export const PARSE_CHARS = 2 * 1024 * 1024
/** Prose handed to the language process: within the 1 MiB message of a peer that is not trusted. */
export const TEXT_CHARS = 200_000
/** Entities are looked for in the first part of that prose: they cost about 12 ms per 1,000 characters. */
export const ENTITY_CHARS = 60_000
export const MAX_ENTITIES = 50
export const MAX_HEADINGS = 200
export const MAX_LINKS = 500
/** Titles, headings, link texts. */
export const LABEL_CHARS = 200
export const HREF_CHARS = 2_000
/** Silent reading of English prose: Brysbaert, Journal of Memory and Language 109 (2019). */
export const WORDS_PER_MINUTE = 238
/** Files found below a folder when none is named. */
export const MAX_DOCUMENTS = 500
