"""A Flask page with a slot: flask run"""

import os

from flask import Flask, render_template_string

from adserve.contrib.flask import Slots

SLOTS_URL = os.environ.get("SLOTS_URL", "http://127.0.0.1:8000")
app = Flask(__name__)
app.config["ADSERVE_BASE_URL"] = SLOTS_URL
app.config["ADSERVE_SITE"] = "news"
Slots(app)

PAGE = """<!doctype html>
<title>Courier</title>
<h1>The last ferry</h1>
{% slot "top", labels=["lake"], size="728x90" %}
<a href="/letter">Our letter</a>
{% endslot %}
<script async src="{{ slots_url }}/slots.js" data-site="news"></script>
"""


@app.get("/")
def front():
    return render_template_string(PAGE, slots_url=SLOTS_URL)
