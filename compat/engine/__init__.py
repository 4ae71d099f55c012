"""Layers and all that makes one: how it is built, called, tracked, made from a definition."""
