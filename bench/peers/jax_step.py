"""What the JAX peers that train share: a step that is compiled with its state donated, and the `step` command."""

import time

import jax


class CompiledStep:
    """`train_step(state, source, target)` returns the next state and the loss."""

    def __init__(self, train_step, state, source, target):
        self.state, self.batch = state, (source, target)
        start = time.perf_counter()
        lowered = jax.jit(train_step, donate_argnums=0).lower(state, source, target)
        traced = time.perf_counter()
        self.compiled = lowered.compile()
        self.seconds = {"traceSeconds": traced - start, "compileSeconds": time.perf_counter() - traced}

    def run(self, count):
        seconds = []
        for _ in range(count):
            begin = time.perf_counter()
            self.state, loss = jax.block_until_ready(self.compiled(self.state, *self.batch))
            seconds.append(time.perf_counter() - begin)
        return {"stepSeconds": seconds, "loss": float(loss)}
