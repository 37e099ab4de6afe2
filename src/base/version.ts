/** The version of this library. A test compares it with package.json, which code for the browser cannot read. */
export const libraryVersion = '0.1.0'
