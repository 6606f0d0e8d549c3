"""The CDISC pilot study, landed from SDTM: real input that nobody here made."""
