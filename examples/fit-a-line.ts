// The smallest training loop: y = 3x - 1, found by gradient descent in one compiled, donated step.
import { jit, np, random, valueAndGrad } from 'switchyard-ml'
import type { Tensor } from 'switchyard-ml'

type Params = { w: Tensor; b: Tensor }

const x = random.normal(random.key(0), [256])
const y = np.subtract(np.multiply(x, 3), 1)
const loss = ({ w, b }: Params): Tensor => np.mean(np.square(np.subtract(np.add(np.multiply(x, w), b), y)))
const step = jit(
  (params: Params): [Params, Tensor] => {
    const [value, gradient] = valueAndGrad(loss)(params)
    return [
      {
        w: np.subtract(params.w, np.multiply(gradient.w, 0.1)),
        b: np.subtract(params.b, np.multiply(gradient.b, 0.1)),
      },
      value,
    ]
  },
  { donate: [0] },
)

let params: Params = { w: np.array(0), b: np.array(0) }
for (let i = 0; i < 100; i++) [params] = step(params)
console.log(`y = ${(await params.w.item()).toFixed(3)} x + ${(await params.b.item()).toFixed(3)}`)
