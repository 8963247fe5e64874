"""A JupyterLab of its own for tests: own folder, own settings, 127.0.0.1, a free port, a token."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

STARTING = 240  # seconds; about three on an idle machine, and tests should not fail where others work
# No question to the user, nothing fetched from outside, and the notebook as wide as the window allows.
SETTINGS = {
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "docmanager-extension/plugin": {"autosave": False},
}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


@dataclass
class Server:
    """Where a running JupyterLab listens and which folders it uses."""

    url: str
    token: str
    folder: Path  # notebooks are opened from here
    settings: Path

    def set_theme(self, theme):
        """The theme, "light" or "dark", of pages opened from now on."""
        self.write_settings("apputils-extension/themes", {"theme": THEMES[theme]})

    def write_settings(self, plugin, values):
        path = self.settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), "utf-8")


@contextlib.contextmanager
def serve(work):
    """Run JupyterLab in the folder `work` until the block ends; gives a `Server`.

    The user's Jupyter settings are neither read nor written; kernels run in fast mode, with a cache of their
    own and without the network. TimeoutError, with the end of the server's log, where it does not come up.
    """
    work = Path(work)
    folders = {
        name: work / name for name in ("notebooks", "config", "settings", "workspaces", "runtime", "data")
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folders["config"]),
        "JUPYTERLAB_SETTINGS_DIR": str(folders["settings"]),
        "JUPYTERLAB_WORKSPACES_DIR": str(folders["workspaces"]),
        "JUPYTER_RUNTIME_DIR": str(folders["runtime"]),
        "JUPYTER_DATA_DIR": str(folders["data"]),
        "JUPYTER_TOKEN": token,  # not an argument: those every user of the machine can read
        "IPYTHONDIR": str(work / "ipython"),
        "EGEMMA_FAST": "1",
        "EGEMMA_CACHE": str(work / "cache"),
        "EGEMMA_ANSWERS": str(work / "answers.jsonl"),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        "--port=0",
        "--allow-root",
    ]
    command += [f"--ServerApp.root_dir={folders['notebooks']}", "--ServerApp.use_redirect_file=False"]
    command += ["--LabApp.expose_app_in_browser=True"]  # `window.jupyterapp`, through which a page is driven
    log = work / "jupyterlab.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        url = _address(folders["runtime"], process, log)
        server = Server(url, token, folders["notebooks"], folders["settings"])
        for plugin, values in SETTINGS.items():
            server.write_settings(plugin, values)
        yield server
    finally:
        process.terminate()  # kernels go with it
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _address(runtime, process, log):
    """The server's address, once it answers: it writes a file about itself when its port is known."""
    until = time.monotonic() + STARTING
    while time.monotonic() < until and process.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):  # not written to the end yet, or not answering yet
                url = json.loads(file.read_text("utf-8"))["url"]
                urllib.request.urlopen(url + "api", timeout=5).close()
                return url
        time.sleep(0.2)
    state = "did not answer in time" if process.poll() is None else f"ended with status {process.returncode}"
    raise TimeoutError(f"JupyterLab {state}; the end of its log:\n{log.read_text('utf-8')[-3000:]}")
