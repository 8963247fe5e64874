"""What the run ran on: the precision the hardware offers, versions, machine."""

import os
import platform
from importlib.metadata import version

import torch


def best_precision(wanted, device):
    """What the recipe says, or for "auto": "bfloat16" where the hardware multiplies it, else "float32"."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    if device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()):
        return "bfloat16"
    return "float32"


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
