"""What plugin authors and tests use: synthetic trials, laws, worked examples."""
