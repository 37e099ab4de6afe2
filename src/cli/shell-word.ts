/** An argument as it is typed in a shell: quoted if necessary. */
export const shellWord = (text: string): string => (/^[\w./:\\-]+$/.test(text) ? text : JSON.stringify(text))
