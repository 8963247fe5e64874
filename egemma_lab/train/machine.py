"""What the run ran on: the precision the hardware offers, versions, machine."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def best_precision(wanted, device):
    """What the recipe says, or for "auto": "bfloat16" where the hardware multiplies it, else "float32"."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    if device.type == "cpu" and processor_gains_from_bfloat16():
        return "bfloat16"
    return "float32"


def processor_gains_from_bfloat16():
    """Whether this processor multiplies bfloat16 faster than float32: with AMX, or AMD's AVX512-BF16.

    Intel's AVX512-BF16 alone does not: on a Xeon 90 GFLOP/s a core against 170 in float32 (torch 2.13).
    """
    if torch.cpu._is_amx_tile_supported():
        return True
    return torch.cpu._is_avx512_bf16_supported() and "AuthenticAMD" in _processor()


def _processor():
    """What the system says of the processor, its maker among it."""
    linux = Path("/proc/cpuinfo")
    return linux.read_text() if linux.exists() else platform.processor()


def machine_and_versions(accelerator):
    """What `run.json` says about the place: the numbers of a run repeat exactly on an equal one only."""
    from egemma_lab import __version__

    device = accelerator.device
    packages = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "datasets", "numpy")
    return {
        "versions": {
            "egemma_lab": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "machine": {
            "platform": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "processes": accelerator.num_processes,
        },
    }
