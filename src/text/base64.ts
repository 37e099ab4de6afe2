import protobuf from 'protobufjs/minimal.js'
import { ConfigError } from '../base/errors.js'

export const toBase64 = (bytes: Uint8Array): string => protobuf.util.base64.encode(bytes, 0, bytes.length)

/** Decodes base64. Throws a ConfigError that names `what` if the text is not base64. */
export function fromBase64(text: string, what: string): Uint8Array {
  const bytes = new Uint8Array(protobuf.util.base64.length(text))
  try {
    protobuf.util.base64.decode(text, bytes, 0)
  } catch {
    throw new ConfigError(`${what} is not base64`)
  }
  return bytes
}
