import { SwitchyardError } from '../../base/errors.js'

/** A request names a model that is not served. */
export class UnknownModelError extends SwitchyardError {
  override name = 'UnknownModelError'
}

/** A model cannot take requests yet, or could not be loaded. */
export class ModelNotReadyError extends SwitchyardError {
  override name = 'ModelNotReadyError'
}

/** The reader of an answer takes its parts more slowly than they are generated. */
export class UnreadAnswerError extends SwitchyardError {
  override name = 'UnreadAnswerError'
}
