"""Argosy: scale-out backup of unstructured data in restic's repository format."""

__version__ = "0.1.0"
