"""What this machine has: versions, devices, and which of them compute in bfloat16."""

import os
import platform
from importlib.metadata import requires, version

import torch

from egemma_lab.model.report import Check

_SHOWN = ("torch", "transformers", "sentence-transformers", "tokenizers", "safetensors", "huggingface-hub")


def machine_rows():
    """Rows for Python, the libraries (each against what this package requires) and the devices."""
    from packaging.requirements import Requirement

    needed = {}
    for line in requires("egemma-lab") or ():
        requirement = Requirement(line)
        if requirement.marker is None:
            needed[requirement.name] = requirement.specifier
    rows = [
        Check("egemma_lab", True, version("egemma-lab"), "any"),
        Check(
            "python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}", "any"
        ),
    ]
    for name in _SHOWN:
        installed, specifier = version(name), needed[name]
        rows.append(Check(name, specifier.contains(installed, prereleases=True), installed, str(specifier)))
    cores = os.cpu_count()
    cpu = f"{cores} cores, torch uses {torch.get_num_threads()} threads"
    rows.append(Check("CPU", True, f"{cpu}; bfloat16 {_cpu_bfloat16()}", "any"))
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        units = "in hardware" if (device.major, device.minor) >= (8, 0) else "emulated: use float32"
        memory = f"{device.total_memory / 2**30:.0f} GiB"
        rows.append(Check(f"GPU {index}", True, f"{device.name}, {memory}; bfloat16 {units}", "any"))
    if torch.backends.mps.is_available():
        rows.append(Check("GPU", True, "Apple (device='mps')", "any"))
    return rows


def _cpu_bfloat16():
    """How this CPU multiplies bfloat16: with matrix units, with vector units, or slowly."""
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if has.get("amx_bf16"):
        return "in hardware (AMX)"
    if has.get("avx512_bf16") or has.get("bf16"):
        return "in hardware (vector units)"
    return "emulated: use float32" if has else "unknown"
