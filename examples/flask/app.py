"""A Flask page with a slot: flask run"""

import os

from flask import Flask, render_template_string

from adserve.contrib.flask import Slots

app = Flask(__name__)
app.config["ADSERVE_BASE_URL"] = os.environ.get("SLOTS_URL", "http://127.0.0.1:8000")
app.config["ADSERVE_SITE"] = "news"
Slots(app)

PAGE = """<!doctype html>
<title>Courier</title>
<h1>The last ferry</h1>
{% slot "top", labels=["lake"], size="728x90" %}
<a href="/letter">Our letter</a>
{% endslot %}
"""


@app.get("/")
def front():
    return render_template_string(PAGE)
