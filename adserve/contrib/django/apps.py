"""The app: its tags are found by Django, its settings are checked at start."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from .settings import check


class SlotsConfig(AppConfig):
    name = __name__.rpartition(".")[0]
    label = "slots"

    def ready(self) -> None:
        register(check)
