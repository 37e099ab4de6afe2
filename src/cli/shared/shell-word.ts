/** An argument as it is typed in a shell: quoted if necessary, so that the shell changes nothing in it. */
export function shellWord(text: string, platform = process.platform): string {
  if (/^[\w./:\\-]+$/.test(text)) return text
  return platform !== 'win32' && /[$`"!\\]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : JSON.stringify(text)
}
