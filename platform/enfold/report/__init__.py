"""Reports: figures computed from verdicts by SQL; nothing here decides anything clinical."""
