"""What is measured, a module for each part; a part's results can be had anew by themselves."""

from collections.abc import Callable, Mapping

from ..collection import Body
from .bench import Bench
from .clients import clients
from .filters import filters
from .load import load
from .requests import requests
from .rewritten import rewritten
from .states import as_loaded, deleted

#: In the order in which they are run.
PARTS: Mapping[str, Callable[[Bench], Body]] = {
    "load": load,
    "requests": requests,
    "clients": clients,
    "filters": filters,
    "as-loaded": as_loaded,
    "rewritten": rewritten,
    "deleted": deleted,
}
