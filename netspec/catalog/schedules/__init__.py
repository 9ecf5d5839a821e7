"""Learning-rate schedules of the language, one file each."""
