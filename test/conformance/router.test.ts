import { tokensChooseTop1 } from '../../src/nn/moe/router.js'
import { describeRouter } from './router.js'

describeRouter('tokens choose top 1', tokensChooseTop1)
