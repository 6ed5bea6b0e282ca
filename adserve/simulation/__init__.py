"""Deciding in virtual time: what a catalog would deliver of some traffic, by the code that serves."""
