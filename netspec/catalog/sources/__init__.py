"""Sources of the language, one file each."""
