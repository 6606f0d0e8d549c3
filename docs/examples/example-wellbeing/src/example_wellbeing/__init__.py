"""Endpoints without Python: the folders beside this file."""
