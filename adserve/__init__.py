"""adserve: a self-hosted ad server that counts exactly once."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`adserve.create_app`, of `adserve.mounted`. Imported when it is asked for, and by name: the version is read by
    everything, so it must cost nothing and stand on nothing."""
    if name == "create_app":
        from importlib import import_module

        return import_module("adserve.mounted").create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
