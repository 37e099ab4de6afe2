import * as z from 'zod'

/** What a field of a source holds. `ints` and `floats` are lists of numbers in typed arrays. */
const fieldType = z.enum(['text', 'number', 'bigint', 'boolean', 'ints', 'floats', 'other'])

/** A field of a task's source, and what depends on it. */
const fieldNeedSchema = z.strictObject({
  name: z.string(),
  type: fieldType,
  /** Whether its values change the inputs, and the targets. */
  input: z.boolean(),
  target: z.boolean(),
  /** It changes neither as far as is known, but with other values, or without it, there is no example. */
  unclear: z.boolean(),
  /** Without it there is no example. */
  required: z.boolean(),
  /** The beginning of one of its values, for a required field that the inputs are not made of. */
  value: z.json().optional(),
})

/** What a checkpoint keeps of the data that its model was trained on: enough to read other files as this data. */
export const savedDataSchema = z.strictObject({
  /** SHA-256 of the content of the files of the training split. */
  digests: z.array(z.string()),
  /** The fields of the source. None if no texts are made of it; null if that is not known. */
  needs: z.array(fieldNeedSchema).nullable(),
})

export type FieldType = z.infer<typeof fieldType>
export type FieldNeed = z.infer<typeof fieldNeedSchema>
export type SavedData = z.infer<typeof savedDataSchema>
