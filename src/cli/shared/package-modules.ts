/** The modules of this package by the names under which programs import them. */
export const packageModules = async (): Promise<Record<string, unknown>> => ({
  'switchyard-ml': await import('../../index.js'),
  'switchyard-ml/engine': await import('../../engine.js'),
  'switchyard-ml/model': await import('../../model.js'),
  'switchyard-ml/text': await import('../../text.js'),
  'switchyard-ml/data': await import('../../data.js'),
  'switchyard-ml/train': await import('../../train.js'),
})
