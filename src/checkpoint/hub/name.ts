import { ConfigError } from '../../base/errors.js'
import { isPlainName } from '../files.js'
import { quote } from '../format.js'

const part = '[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?'
const hubName = new RegExp(`^${part}/${part}$`)

/** A model on the hub at a branch, a tag or a commit. */
export interface HubModel {
  readonly repo: string
  readonly revision: string
}

/**
 * Whether a text could be a model's name on the Hugging Face hub, `owner/name`. A local path of that name has
 * precedence: the caller checks for one first.
 */
export const isHubName = (text: string): boolean => hubName.test(text) && !/--|\.\.|\.git$/.test(text)

/** T5's first models had names without an owner on the hub, by which scripts and adapters still call them. */
const withoutOwner: ReadonlySet<string> = new Set(['t5-small', 't5-base', 't5-large', 't5-3b', 't5-11b'])

/** The hub's name for a text, `owner/name`; undefined if it can be none. */
export const hubNameOf = (text: string): string | undefined =>
  withoutOwner.has(text) ? `google-t5/${text}` : isHubName(text) ? text : undefined

/** Whether a revision is a full commit hash, which always names the same files. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision)

/**
 * Throws a ConfigError if these cannot be the name of a model and of one of its revisions: they become parts of paths
 * and of URLs.
 */
export function checkModel({ repo, revision }: HubModel): void {
  if (!isHubName(repo))
    throw new ConfigError(
      `${quote(repo)} is no name of a model on the hub, which would be owner/name, such as google/switch-base-8`,
    )
  if (revision.length > 255 || !revision.split('/').every(isPlainName)) {
    throw new ConfigError(`${quote(revision)} is no revision of ${repo}: give a branch, a tag or a commit`)
  }
}
