/** The command that installs a plugin for these devices with pip; null if there is none for this system. */
export function pluginInstallation(platform: 'cpu' | 'cuda' | 'tpu'): string | null {
  const system = `${process.platform} ${process.arch}`
  const what = {
    // Without the packages of Python that they name, which are not used here and are larger than a plugin.
    cpu: { 'linux x64': '--no-deps lammps-jax-pjrt-cpu==0.11.2', 'linux arm64': '--no-deps xla-cpu-pjrt==0.0.1' }[
      system
    ],
    cuda: '"jax-cuda13-plugin[with-cuda]"',
    tpu: 'libtpu',
  }[platform]
  if (what === undefined) return null
  if (process.env.VIRTUAL_ENV || process.env.CONDA_PREFIX) return `pip install ${what}`
  // Many systems refuse packages outside of an environment; .venv is one that is looked at.
  return `python3 -m venv .venv && .venv/bin/pip install ${what}`
}
