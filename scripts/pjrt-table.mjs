#!/usr/bin/env node
// Writes src/engine/compile/xla/pjrt/table.ts: where the functions of the PJRT C API that Switchyard calls lie in
// `PJRT_Api`, and where each field of their arguments lies. Usage:
//   node scripts/pjrt-table.mjs path/to/pjrt_c_api.h > src/engine/compile/xla/pjrt/table.ts
// The header is in XLA's repository (xla/pjrt/c/pjrt_c_api.h) and in the pip package xla-cpu-pjrt. Layouts are those of
// 64-bit Linux and macOS. New versions of the API append fields and functions, so an old header describes new plugins.
import { readFileSync } from 'node:fs'

/** The functions that Switchyard calls. */
const functions = `
  Error_Destroy Error_Message Error_GetCode Plugin_Initialize Plugin_Attributes Event_Destroy Event_IsReady Event_Await
  Client_Create Client_Destroy Client_PlatformName Client_PlatformVersion Client_AddressableDevices Client_Compile
  Client_BufferFromHostBuffer Device_GetDescription Device_MemoryStats DeviceDescription_Id DeviceDescription_Kind
  Executable_Destroy Executable_NumOutputs Executable_Serialize Executable_DeserializeAndLoad
  Executable_GetCompiledMemoryStats LoadedExecutable_Destroy LoadedExecutable_GetExecutable
  LoadedExecutable_AddressableDevices LoadedExecutable_Execute Buffer_Destroy Buffer_ToHostBuffer Buffer_ReadyEvent
  Buffer_UnsafePointer`
  .trim()
  .split(/\s+/)

/** Structs that arguments point to. */
const structs = ['NamedValue', 'Program', 'ExecuteOptions']
const enums = ['Error_Code', 'Buffer_Type', 'HostBufferSemantics']

const file = process.argv[2]
if (!file) throw new Error('usage: node scripts/pjrt-table.mjs path/to/pjrt_c_api.h')
const header = readFileSync(file, 'utf8')
  .replace(/\/\*.*?\*\//gs, '')
  .replace(/\/\/.*$/gm, '')

const sizes = { pointer: 8, size: 8, int64: 8, int32: 4, float: 4, bool: 1 }
const enumNames = new Set([...header.matchAll(/\}\s*(PJRT_\w+);/g)].map(match => match[1]))

/** The kind of a field, from its declaration without the name. */
function kindOf(type) {
  if (type.includes('*') || /Callback$|Deleter$/.test(type) || type === 'uintptr_t') return 'pointer'
  if (type === 'size_t') return 'size'
  if (type === 'int64_t' || type === 'uint64_t') return 'int64'
  if (type === 'int' || enumNames.has(type)) return 'int32'
  if (type === 'bool' || type === 'float') return type
  throw new Error(`the type ${JSON.stringify(type)} is not known to this script`)
}

/** The fields of a struct with their offsets, and the end of the last one, which is what `struct_size` holds. */
function layoutOf(name) {
  const start = header.search(new RegExp(`struct ${name} \\{`))
  if (start < 0) throw new Error(`${file} has no struct ${name}`)
  let offset = 0
  const fields = []
  const add = (kind, field) => {
    offset = Math.ceil(offset / sizes[kind]) * sizes[kind]
    fields.push([field, offset, kind])
    offset += sizes[kind]
  }
  // A union of scalars and pointers (in NamedValue) starts at a multiple of 8 and takes 8 bytes.
  const body = header.slice(header.indexOf('{', start) + 1, header.indexOf(`PJRT_DEFINE_STRUCT_TRAITS(${name},`, start))
  const declarations = body.replace(/\bunion \{([^}]*)\};/s, (_, members) => `union<${members.replace(/;/g, '|')}>;`)
  for (const declaration of declarations.split(';').map(d => d.replace(/\s+/g, ' ').trim())) {
    if (declaration === '' || declaration === '}') continue
    if (declaration.startsWith('union<')) {
      offset = Math.ceil(offset / 8) * 8
      for (const member of declaration.slice(6, -1).split('|')) {
        const [, type, field] = /^(.*?)(\w+)$/.exec(member.trim()) ?? []
        if (field) fields.push([field, offset, kindOf(type.trim())])
      }
      offset += 8
      continue
    }
    const callback = /\(\*(\w+)\)\(/.exec(declaration)
    if (callback) add('pointer', callback[1])
    else {
      const [, type, field] = /^(.*?)(\w+)$/.exec(declaration)
      add(kindOf(type.replace('const ', '').trim()), field)
    }
  }
  return { size: offset, fields: fields.filter(([field]) => field !== 'struct_size' && field !== 'extension_start') }
}

const slots = [...header.matchAll(/_PJRT_API_STRUCT_FIELD\(PJRT_(\w+)\)/g)].map(match => match[1])
/** Before the functions, `PJRT_Api` has its size, its extensions, and a version of 24 bytes. */
const slotOffset = name => {
  const slot = slots.indexOf(name)
  if (slot < 0) throw new Error(`PJRT_Api has no function ${name}`)
  return 40 + 8 * slot
}
const valuesOf = name => {
  const [, body] = new RegExp(`typedef enum \\{([^}]*)\\} PJRT_${name};`).exec(header) ?? []
  let next = 0
  return body
    .split(',')
    .map(value => value.trim())
    .filter(value => value !== '')
    .map(value => {
      const [member, given] = value.split('=').map(part => part.trim())
      if (given !== undefined) next = Number(given)
      return [member.replace(/^PJRT_(Error_Code|Buffer_Type|HostBufferSemantics)_k?/, ''), next++]
    })
}

const minor = Number(/#define PJRT_API_MINOR (\d+)/.exec(header)[1])
const major = Number(/#define PJRT_API_MAJOR (\d+)/.exec(header)[1])
/** Fields, in lines of at most 120 columns. */
function fieldsText(fields) {
  const lines = ['']
  for (const [field, offset, kind] of fields) {
    const text = `${field}: [${offset}, '${kind}'],`
    if (lines.at(-1).length + text.length > 112) lines.push('')
    lines[lines.length - 1] += `${lines.at(-1) && ' '}${text}`
  }
  return lines.map(line => `    ${line}\n`).join('')
}
const line = (name, { size, fields }, slot) =>
  `  ${name}: { ${slot === undefined ? '' : `slot: ${slot}, `}size: ${size}, fields: {` +
  (fields.length > 0 ? `\n${fieldsText(fields)}  } },` : '} },')

process.stdout.write(`// Written by scripts/pjrt-table.mjs from pjrt_c_api.h ${major}.${minor}: do not edit.

/** The version of the header that the tables below were made from. */
export const headerVersion = { major: ${major}, minor: ${minor} } as const

/** Functions: their place in \`PJRT_Api\`, \`struct_size\` of their arguments, and each field's offset and kind. */
// prettier-ignore
export const functions = {
${functions.map(name => line(name, layoutOf(`PJRT_${name}_Args`), slotOffset(name))).join('\n')}
} as const

/** Structs that arguments point to. */
// prettier-ignore
export const structs = {
${structs.map(name => line(name, layoutOf(`PJRT_${name}`))).join('\n')}
} as const

${enums
  .map(
    name =>
      `// prettier-ignore\nexport const ${name[0].toLowerCase()}${name.slice(1).replaceAll('_', '')} = {\n${valuesOf(
        name,
      )
        .map(([member, value]) => `  ${member}: ${value},`)
        .join('\n')}\n} as const`,
  )
  .join('\n\n')}
`)
