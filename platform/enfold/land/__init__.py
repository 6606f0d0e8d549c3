"""Landing: a file becomes one commit; every row is mapped, ignored by a named rule, or refused."""
