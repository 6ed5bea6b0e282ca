"""The files of the console, under addresses that change with their bytes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from adserve.store.media import digest_of

_FOLDER = Path(__file__).parent / "static"
_CHARTS = files("adserve.charts")
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
FILES = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix[1:] in _TYPES}
FILES["chart.css"] = _CHARTS.joinpath("chart.css").read_bytes()
STAMPS = {name: digest_of(data)[:12] for name, data in FILES.items()}
"""What stands behind a file's address, so that browsers may keep it for good."""


async def static(request: Request) -> Response:
    """One file, kept by browsers for good when it is asked for by its stamp."""
    if request.method not in ("GET", "HEAD"):
        return Response("method not allowed\n", 405, {"Allow": "GET, HEAD"}, "text/plain")
    name = request.path_params["file"]
    if name not in FILES:
        return Response("not found\n", 404, media_type="text/plain")
    kept = request.query_params.get("v") == STAMPS[name]
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if kept else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(FILES[name], 200, headers, _TYPES[name.rpartition(".")[2]])
