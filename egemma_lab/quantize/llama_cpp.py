"""llama.cpp itself, as the wheel `xllamacpp` brings it, in a process of its own: a file it cannot run aborts it."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import numpy as np

# No proxy for what runs on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PATIENCE = 600  # seconds for one answer: a long text on a slow machine, not a hang


def has_llama_cpp():
    """Whether `xllamacpp` is installed."""
    return importlib.util.find_spec("xllamacpp") is not None


@contextlib.contextmanager
def llama_server(path, *, context=2048, threads=1):
    """llama.cpp's server with a GGUF file of an embedding model: yields a `LlamaCpp`; the server ends with the block.

    Parameters: `path`, the file; `context`, the most tokens of a text (a model that is not causal must see a text
    whole, so this is the size of llama.cpp's batches too); `threads`, of the CPU (default 1). RuntimeError with
    llama.cpp's own words where it refuses the file or dies; ImportError without `xllamacpp`.
    """
    if not has_llama_cpp():
        raise ImportError("running GGUF files needs llama.cpp: pip install xllamacpp")
    command = [sys.executable, "-m", __name__, os.fspath(path), str(context), str(threads)]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},  # an abort would start a debugger
        )
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise _death(process, log)
            try:
                yield LlamaCpp(address, process.pid)
            except OSError as error:  # no connection any more: say why
                raise _death(process, log) from error
        finally:
            process.stdin.close()  # what the server waits for
            process.wait()
            process.stdout.close()


class LlamaCpp:
    """A running server at `address`, process `pid`: texts in, token ids and unit vectors out."""

    def __init__(self, address, pid):
        self.address, self.pid = address, pid

    def tokenize(self, texts):
        """Token ids of each text, BOS and EOS included."""
        return [self._ask("/tokenize", content=text, add_special=True)["tokens"] for text in texts]

    def embed(self, inputs):
        """Unit vectors (n, d) float32 of n texts, or of n lists of token ids."""
        rows = self._ask("/v1/embeddings", input=list(inputs))["data"]
        return np.array([row["embedding"] for row in rows], dtype=np.float32)

    def _ask(self, route, **question):
        request = urllib.request.Request(
            self.address + route,
            data=json.dumps(question).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _OPENER.open(request, timeout=_PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:  # it runs, and says no
            raise RuntimeError(f"llama.cpp refused {route}: {error.read().decode()}") from error


def _death(process, log):
    """What to raise when the server is gone or does not answer."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    process.kill()
    log.seek(0)
    said = [line for line in log.read().splitlines() if line.strip()]
    telling = [line for line in said if "ASSERT" in line or "error" in line.lower()]
    return RuntimeError(
        f"llama.cpp did not run this file (exit code {process.wait()}): {' '.join((telling or said)[-3:])}"
    )


def _serve(path, context, threads):
    """The server's process: its address on stdout, and then nothing until stdin is closed."""
    out = os.dup(1)
    os.dup2(2, 1)  # llama.cpp writes to stdout as it likes
    from xllamacpp import CommonParams, Server

    settings = CommonParams()
    settings.model.path = path
    settings.embedding = True
    settings.n_ctx = settings.n_batch = settings.n_ubatch = context
    settings.n_parallel = 1
    settings.n_gpu_layers = 0
    settings.fit_params = settings.warmup = False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    server = Server(settings)
    os.write(out, f"{server.listening_address}\n".encode())
    os.close(out)
    sys.stdin.read()
    os._exit(0)  # nothing to save, and llama.cpp takes its time


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
