"""Never imported: whoever imports this fails."""

raise ImportError("a package of endpoint folders was imported")
