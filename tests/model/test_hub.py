"""What a user reads when the Hub says no, and what is taken from it when it says yes."""

import pytest

from egemma_lab.model import load_model
from egemma_lab.model.hub import fetch


def hub_error(kind, status):
    return kind("from the Hub", response=httpx_response(status))


def httpx_response(status):
    import huggingface_hub.errors as errors

    library = next(c for c in errors.HfHubHTTPError.__mro__ if c.__name__ == "HTTPError").__module__.split(
        "."
    )[0]
    http = __import__(library)
    return http.Response(
        status, request=http.Request("GET", "https://huggingface.co/google/embeddinggemma-300m")
    )


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (
            ("GatedRepoError", 403),
            PermissionError,
            r"Accept its terms at https://huggingface.co/google/embedding",
        ),
        (("GatedRepoError", 403), PermissionError, r"hf auth login.*HF_TOKEN.*load_model\('nano'\)"),
        (("HfHubHTTPError", 401), PermissionError, "gated"),
        (("HfHubHTTPError", 503), ConnectionError, "answered 503"),
        (("RepositoryNotFoundError", 404), FileNotFoundError, "there is no folder of that name"),
        (("RevisionNotFoundError", 404), FileNotFoundError, "no revision 'v9'"),
        (("LocalEntryNotFoundError", None), ConnectionError, "the Hub cannot be reached"),
        (("OfflineModeIsEnabled", None), ConnectionError, "HF_HUB_OFFLINE"),
        (("HFValidationError", None), FileNotFoundError, "neither a folder here nor a Hub name"),
        (("transport", None), ConnectionError, "the Hub cannot be reached"),
    ],
)
def test_hub_errors_say_what_to_do(monkeypatch, error, raised, message):
    import huggingface_hub
    from huggingface_hub import errors

    name, status = error
    if name == "transport":
        failure = next(c for c in errors.HfHubHTTPError.__mro__ if c.__name__ == "HTTPError")("reset by peer")
    elif status is None:
        failure = getattr(errors, name)("from the Hub")
    else:
        failure = hub_error(getattr(errors, name), status)

    def fail(*args, **options):
        raise failure

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(raised, match=message):
        load_model("google/embeddinggemma-300m", revision="v9")


def test_hub_download_takes_no_pickle_and_no_code(monkeypatch, saved):
    import huggingface_hub

    seen = {}

    def download(name, **options):
        seen.update(options, name=name)
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = load_model("google/embeddinggemma-300m", token="a token", revision="main")
    assert (model.name, seen["name"]) == ("google/embeddinggemma-300m",) * 2
    assert (seen["token"], seen["revision"]) == ("a token", "main")
    assert not any(pattern.endswith((".bin", ".py", ".pt", "*")) for pattern in seen["allow_patterns"])
    assert fetch("google/embeddinggemma-300m") == saved
