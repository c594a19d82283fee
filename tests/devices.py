"""Programs that see eight devices, which a process must ask for before it starts."""

import os
import subprocess
import sys

import jax

EIGHT_DEVICES = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8".strip()


def run_on_eight_devices(program: str) -> None:
    """Runs a program in a process of its own, compiled as the tests are, and shows its error if it fails."""
    settings = {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": str(int(jax.config.read("jax_disable_most_optimizations"))),
        "XLA_FLAGS": EIGHT_DEVICES,
    }
    result = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
