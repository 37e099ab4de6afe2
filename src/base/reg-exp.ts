/** The source of a regular expression, with the flag u, that matches this text only. */
export const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&')
