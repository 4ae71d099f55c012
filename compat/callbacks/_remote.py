"""`RemoteMonitor`: sends the metrics to a server."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

from compat.training.callbacks.callback import Callback
from kfun.errors import MissingExtraError


class RemoteMonitor(Callback):
    """Sends each epoch's metrics to a server by HTTP POST; warns if it cannot be reached.

    Args:
        root: the server.
        path: added to it.
        field: the form's field that holds the JSON text.
        headers: of the request.
        send_as_json: whether the JSON is the body itself rather than a form's field.

    Raises:
        MissingExtraError: if requests is not installed.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict | None = None,
        send_as_json: bool = False,
    ):
        super().__init__()
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json
        _requests()

    def on_epoch_end(self, epoch, logs=None):
        requests = _requests()
        sent = {"epoch": epoch} | {n: _plain(v) for n, v in (logs or {}).items()}
        form = {"json": sent} if self.send_as_json else {"data": {self.field: json.dumps(sent)}}
        try:
            requests.post(self.root + self.path, headers=self.headers, **form)
        except requests.exceptions.RequestException as error:
            warnings.warn(f"RemoteMonitor: could not reach {self.root} ({type(error).__name__})", stacklevel=2)


def _requests() -> Any:
    try:
        import requests
    except ImportError as error:
        raise MissingExtraError("requests", "callbacks", "RemoteMonitor") from error
    return requests


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    return array.item() if array.size == 1 else array.tolist()
