/**
 * No one graph can serve all sizes of a function (see generalize.ts). The message says why, as a clause about the
 * function: "it has loops".
 */
export class NotGeneralError extends Error {}
