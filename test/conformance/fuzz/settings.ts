/** FUZZ_RUNS sets the number of random programs, FUZZ_SEED their seed. FUZZ_BACKEND names what runs them. */
const { FUZZ_BACKEND, FUZZ_RUNS, FUZZ_SEED } = process.env

export const fuzzBackend = FUZZ_BACKEND

/** How many programs are run. `usual`: unless FUZZ_RUNS says so. */
export const fuzzRuns = (usual: number): number => Number(FUZZ_RUNS ?? usual)

/** The seed: with FUZZ_RUNS a new one each time. */
export const fuzzSeed = Number(FUZZ_SEED ?? (FUZZ_RUNS ? Date.now() % 2 ** 31 : 10))
