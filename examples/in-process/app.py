"""A Starlette site with the whole service within it, below /s: uvicorn app:app"""

import os
from contextlib import asynccontextmanager

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

import adserve
from adserve.contrib.jinja2 import install

PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000/s")
service = adserve.create_app(data_dir="slots-data", public_url=PUBLIC_URL, admin_key=os.environ["ADMIN_KEY"])

env = Environment(autoescape=True, enable_async=True)
install(env, base_url=PUBLIC_URL, site="news", afetch=service.fetch)
page = env.from_string("""<!doctype html>
<title>Courier</title>
<h1>The last ferry</h1>
{% slot "top", labels=["lake"], headers=request.headers, address=request.client.host, size="728x90" %}
<a href="/letter">Our letter</a>
{% endslot %}
<script async src="/s/slots.js" data-site="news"></script>
""")


async def front(request):
    return HTMLResponse(await page.render_async(request=request))


@asynccontextmanager
async def lifespan(_):
    async with service.lifespan():
        yield  # what else the site opens goes here


app = Starlette(routes=[Route("/", front), Mount("/s", service)], lifespan=lifespan)
