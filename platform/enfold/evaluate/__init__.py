"""Evaluation: discover plugins, order their declarations, call each alone, stamp what returns."""
