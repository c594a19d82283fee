"""Programs that see eight devices, which a process must ask for before it starts."""

import os
import subprocess
import sys


def run_on_eight_devices(program: str) -> None:
    """Runs a program in a process of its own, in double precision, and shows its error if it fails."""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
    }
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
