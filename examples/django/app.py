"""A Django project in one file, with a slot: python app.py check; python app.py runserver"""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.template import engines
from django.urls import path

SLOTS_URL = os.environ.get("SLOTS_URL", "http://127.0.0.1:8000")
settings.configure(
    INSTALLED_APPS=["adserve.contrib.django"],
    ADSERVE={"BASE_URL": SLOTS_URL, "SITE": "news"},
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
)

PAGE = """{% load slots %}<!doctype html>
<title>Courier</title>
<h1>The last ferry</h1>
{% slot "top" labels="lake" size="728x90" %}
<a href="/letter">Our letter</a>
{% endslot %}
<script async src="{{ slots_url }}/slots.js" data-site="news"></script>
"""


def front(request):
    return HttpResponse(engines["django"].from_string(PAGE).render({"slots_url": SLOTS_URL}, request))


urlpatterns = [path("", front)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
