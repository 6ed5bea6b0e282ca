"""adserve: a self-hosted ad server that counts exactly once."""

__version__ = "0.1.0"
