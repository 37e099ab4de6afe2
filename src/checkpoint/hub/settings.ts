import { homedir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { isFile, readSmallText } from '../files.js'
import { quote } from '../format.js'

/** Settings from environment variables, the same as those of Python's huggingface_hub. */
export interface HubSettings {
  /** The cache folder. */
  readonly cache: string
  /** The hub's address, without a slash at the end. */
  readonly endpoint: string
  readonly token?: string
  readonly offline: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the settings; a ConfigError names the variable or the file that cannot be used. An empty variable counts as
 * none.
 */
export async function readSettings(env: Environment = process.env): Promise<HubSettings> {
  const home = expand(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'), env)
  return {
    cache: expand(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, 'hub'), env),
    endpoint: readEndpoint(env.HF_ENDPOINT || 'https://huggingface.co'),
    token: await readToken(env, expand(env.HF_TOKEN_PATH || join(home, 'token'), env)),
    offline: ['1', 'ON', 'YES', 'TRUE'].includes((env.HF_HUB_OFFLINE ?? '').toUpperCase()),
  }
}

/** Expands `~`, `$NAME` and `${NAME}` in a path, as Python's expanduser and expandvars. */
const expand = (path: string, env: Environment): string =>
  path
    .replace(/^~(?=$|[/\\])/, homedir())
    .replace(
      /\$(?:(\w+)|\{(\w+)\})/g,
      (text: string, bare?: string, braced?: string) => env[bare ?? braced ?? ''] ?? text,
    )

function readEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    url === undefined ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.username + url.password + url.search + url.hash !== ''
  ) {
    throw new ConfigError(
      `HF_ENDPOINT is ${quote(text)}: it must be the address of a hub, such as https://huggingface.co`,
    )
  }
  return url.href.replace(/\/+$/, '')
}

async function readToken(env: Environment, path: string): Promise<string | undefined> {
  const variable = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN || undefined
  const token = (variable ?? ((await isFile(path)) ? await readSmallText(path, 10_000) : '')).trim()
  // The token becomes a header's value. A malformed one is not printed, since it may still contain the secret.
  if (!/^[\x21-\x7e]*$/.test(token))
    throw new ConfigError(
      `${variable ? 'HF_TOKEN' : path}: this is no access token: it holds spaces or other characters that no token has`,
    )
  return token || undefined
}
