"""Kinds of hash model that need no network, a file each."""
