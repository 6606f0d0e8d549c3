"""The demo trial: a synthetic reconstruction, as raw events, of a published CD19 CAR-T trial.

Every value is made up. Only counts that the abstract (Kidney Week, SA-PO0659) prints shaped the
courses; no result is written anywhere, and no endpoint is imported: the platform computes them.
"""
