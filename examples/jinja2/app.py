"""A page of a plain WSGI application with a slot in its Jinja2 template: python app.py"""

import os
from wsgiref.simple_server import make_server

from jinja2 import Environment

from adserve.contrib.jinja2 import install

SLOTS_URL = os.environ.get("SLOTS_URL", "http://127.0.0.1:8000")
env = Environment(autoescape=True)
env.globals["slots_url"] = SLOTS_URL
install(env, base_url=SLOTS_URL, site="news")
page = env.from_string("""<!doctype html>
<title>Courier</title>
<h1>The last ferry</h1>
{% slot "top", labels=["lake"], headers=headers, address=address, size="728x90" %}
<a href="/letter">Our letter</a>
{% endslot %}
<script async src="{{ slots_url }}/slots.js" data-site="news"></script>
""")


def application(environ, start_response):
    headers = {
        name.removeprefix("HTTP_").replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    body = page.render(headers=headers, address=environ["REMOTE_ADDR"]).encode()
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ.get("PORT", "5000")), application).serve_forever()
