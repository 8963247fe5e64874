"""Fetching a model folder from the Hugging Face Hub, and saying plainly why it did not come."""

from pathlib import Path

# Configuration, tokenizer and safetensors: never a pickle, never code.
PATTERNS = ["*.json", "*.safetensors", "*.txt", "tokenizer.model", "*/tokenizer.model"]


def fetch(name, *, token=None, revision=None):
    """The local folder of the Hub model `owner/name`, downloaded where it is not in the cache yet.

    Only JSON, safetensors and tokenizer files are taken. PermissionError where the model is gated or private,
    FileNotFoundError where the Hub has no such model or revision, ConnectionError where the Hub cannot be
    reached and the cache does not have the model, or not all of it; OSError where the disk is full. A file that came
    in part is never used, and those that came whole are not fetched again.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(name, revision=revision, token=token, allow_patterns=PATTERNS))
    except GatedRepoError as error:  # a kind of RepositoryNotFoundError, so it goes first
        raise PermissionError(_no_access(name)) from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"the Hub has {name!r}, but no revision {revision!r} of it") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"the Hub shows this login no model {name!r}, and there is no folder of that name. Check the "
            "spelling; for a private model log in first (`hf auth login`, or set HF_TOKEN)"
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise PermissionError(_no_access(name)) from error
        raise ConnectionError(f"the Hub answered {status} when asked for {name!r}: {error}") from error
    except HFValidationError as error:
        raise FileNotFoundError(
            f"{name!r} is neither a folder here nor a Hub name of the form owner/name"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        if hasattr(error, "snapshot_path"):  # IncompleteSnapshotError: some of its files are in the cache
            raise ConnectionError(_not_whole(name, error)) from error
        raise ConnectionError(
            f"there is no folder {name!r}, and as a Hub name it is not in the local cache and the Hub cannot be "
            "reached (no network, or HF_HUB_OFFLINE=1). Connect once, or pass the path of a folder that has it"
        ) from error
    # what is left happens in the middle of a download
    except (transport_error(), RuntimeError) as error:  # RuntimeError: hf_xet's
        raise ConnectionError(_not_whole(name, error)) from error
    except OSError as error:
        if error.errno is None:  # "Consistency check failed": fewer bytes than announced
            raise ConnectionError(_not_whole(name, error)) from error
        raise OSError(
            error.errno, f"{error.strerror}, while {name!r} was downloaded to {HF_HUB_CACHE}", error.filename
        ) from error


def _not_whole(name, why):
    why = str(why).splitlines()[0] if str(why) else type(why).__name__
    return (
        f"{name!r} did not come whole, the Hub cannot be reached ({why}): nothing of it is used. Load it again when "
        "there is a network; files that came whole are not fetched again"
    )


def transport_error():
    """The base of all errors of the HTTP library underneath; which one that is depends on the version."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(cls for cls in HfHubHTTPError.__mro__ if cls.__name__ == "HTTPError")


def _no_access(name):
    return (
        f"{name!r} is gated and this login has no access to it. Accept its terms at "
        f"https://huggingface.co/{name}, then log in (`hf auth login`, or set HF_TOKEN) and load it again. "
        "Without an account: the bundled models need no token, load_model('nano')"
    )
