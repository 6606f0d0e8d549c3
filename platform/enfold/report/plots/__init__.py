"""Pictures of a run: one module a picture, each a statement on the serving file and a pure drawing of its rows."""
