"""No replica gets traffic before its probe was answered correctly."""
