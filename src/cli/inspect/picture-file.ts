import { extname } from 'node:path'
import { ConfigError } from '../../base/errors.js'

/** Throws a ConfigError unless a file's name is one for an SVG: a browser shows it as a picture in .html as well. */
export function checkPictureFile(option: string, file: string): void {
  const ending = extname(file)
  if (['.svg', '.html'].includes(ending.toLowerCase())) return
  const svg = `${file.slice(0, file.length - ending.length)}.svg`
  throw new ConfigError(
    `${option} ${file}: the picture is drawn as SVG, which other programs would not recognize under this name: ${option} ${svg}`,
  )
}
